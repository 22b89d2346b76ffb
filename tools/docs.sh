#!/usr/bin/env bash
# Makes a site of the documentation, into build/site: every page of the repository, where it links to
# the files beside it. A link or an anchor that leads nowhere, and a page that mkdocs.yml does not
# name, are errors. `tools/docs.sh serve` shows it at http://127.0.0.1:8000/, and goes on doing so.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

tool=${LOCKD_MKDOCS:-.venv-docs/bin/mkdocs}
if ! [[ -x $tool ]]; then
    python3 -m venv .venv-docs
    python3 -B -m lockd.commands.install.lock docs >.venv-docs/docs.txt
    .venv-docs/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv-docs/docs.txt
fi
rm -rf build/docs && mkdir -p build/docs
git ls-files -z --cached --others --exclude-standard -- '*.md' LICENSE docs config |
    tar --create --null --exclude=.github --files-from=- | tar --extract --directory build/docs
export NO_MKDOCS_2_WARNING=1
exec "$tool" "${@:-build}"
