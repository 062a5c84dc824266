"""Data sets from the network: fetched once, checked, and kept.

A file is looked for in the folder that the environment variable ``GAN_COURSE_DATA`` names, else in
the user's cache. One that was put there by hand is as good as one that was fetched: what counts is
its checksum. Nothing is half written: what arrives takes its name only when it is whole.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_course.arguments import one_of


class FetchError(RuntimeError):
    """A file could not be had; the message says why, and how to place it by hand."""


class Remote(NamedTuple):
    """Files of one data set.

    Attributes:
        name: of its folder in the cache.
        url: of the folder on the server.
        md5: checksum of each file, by name, as its authors and torchvision publish it.
    """

    name: str
    url: str
    md5: dict[str, str]


MNIST = Remote(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = Remote(
    "fashion-mnist",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
#: The binary version: that for Python is a pickle, which may run whatever it likes when read.
CIFAR10 = Remote(
    "cifar10",
    "https://www.cs.toronto.edu/~kriz/",
    {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
)

#: Seconds that a server may be silent.
TIMEOUT = 30.0


def mnist(split: str = "train") -> tuple[Tensor, Tensor]:
    """Handwritten digits (LeCun et al. 1998).

    Args:
        split: ``"train"``, 60,000 pictures, or ``"test"``, 10,000.

    Returns:
        Images of shape ``(samples, 1, 28, 28)``, scaled from 0 … 255 to −1 … 1, and their labels
        of shape ``(samples,)``.

    Raises:
        ValueError: the split is unknown.
        FetchError: a file is not in the cache and cannot be fetched.
    """
    return _idx_pair(MNIST, split)


def fashion_mnist(split: str = "train") -> tuple[Tensor, Tensor]:
    """Pieces of clothing of ten kinds (Xiao et al. 2017), otherwise like :func:`mnist`.

    Raises:
        ValueError: the split is unknown.
        FetchError: a file is not in the cache and cannot be fetched.
    """
    return _idx_pair(FASHION_MNIST, split)


def cifar10(split: str = "train") -> tuple[Tensor, Tensor]:
    """Photographs of ten kinds of things (Krizhevsky 2009).

    Args:
        split: ``"train"``, 50,000 pictures, or ``"test"``, 10,000.

    Returns:
        Images of shape ``(samples, 3, 32, 32)``, scaled from 0 … 255 to −1 … 1, and their labels
        of shape ``(samples,)``.

    Raises:
        ValueError: the split is unknown.
        FetchError: a file is not in the cache and cannot be fetched.
    """
    one_of("split", split, ["train", "test"])
    parts = [f"data_batch_{part}" for part in range(1, 6)] if split == "train" else ["test_batch"]
    with tarfile.open(fetched(CIFAR10, "cifar-10-binary.tar.gz")) as archive:
        raw = [archive.extractfile(f"cifar-10-batches-bin/{part}.bin") for part in parts]
        data = b"".join(file.read() for file in raw if file is not None)
    # A record is its label, then red, green and blue, row by row.
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return _scaled(rows[:, 1:].reshape(-1, 3, 32, 32)), torch.as_tensor(rows[:, 0].astype(np.int64))


def _idx_pair(remote: Remote, split: str) -> tuple[Tensor, Tensor]:
    one_of("split", split, ["train", "test"])
    start = {"train": "train", "test": "t10k"}[split]
    images, labels = (
        _idx(fetched(remote, f"{start}-{kind}-ubyte.gz")) for kind in ("images-idx3", "labels-idx1")
    )
    return _scaled(images).unsqueeze(1), torch.as_tensor(labels.astype(np.int64))


def _idx(path: Path) -> NDArray[np.uint8]:
    """An array in LeCun's format: two zeros, 8 for bytes, the rank, the sizes, the numbers."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    sizes = np.frombuffer(data, dtype=">u4", count=rank, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * rank).reshape(sizes)


def _scaled(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(pixels, dtype=torch.float32) / 127.5 - 1


def fetched(remote: Remote, file: str) -> Path:
    """Where a file lies, after fetching it if it is not there.

    Args:
        remote: the data set.
        file: one of its files.

    Raises:
        FetchError: it is not there, and what the server sent is not it.
    """
    import pooch  # noqa: PLC0415  # it brings a network library

    wanted, md5 = cache_folder() / remote.name / file, remote.md5[file]
    if wanted.is_file() and _md5(wanted) == md5:
        return wanted
    folder = _writable(wanted.parent)
    url = remote.url + file
    fetch = pooch.HTTPDownloader(timeout=TIMEOUT, hooks={"response": _close_if_refused})
    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", file, folder, downloader=fetch))
    except (OSError, ValueError) as error:  # no network, an answer that is none, another file
        raise FetchError(
            f"{file} of {remote.name} could not be fetched: {error}\n"
            f"Get {url} in another way, and put it as it is at\n    {wanted}\n"
            f"Its MD5 checksum is {md5}. Another folder in place of {cache_folder()} can be named "
            "in the environment variable GAN_COURSE_DATA. Without any network there are "
            "gan_course.images.digits(), glyphs() and shapes()."
        ) from error


def cache_folder() -> Path:
    """Where data sets are kept: ``GAN_COURSE_DATA``, else the user's cache."""
    import pooch  # noqa: PLC0415

    named = os.environ.get("GAN_COURSE_DATA")
    return Path(named).expanduser().absolute() if named else Path(pooch.os_cache("gan-course"))


def _close_if_refused(answer: Any, **_: object) -> None:
    """Let go of the connection, which pooch keeps open after an error."""
    if not answer.ok:
        answer.close()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _writable(folder: Path) -> Path:
    """The folder, or one of this system's for temporary files where it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        instead = Path(tempfile.gettempdir()) / "gan-course" / folder.name
        warnings.warn(
            f"{folder} cannot be written to ({error}); {instead} is used, which may not last. "
            "Name a folder in the environment variable GAN_COURSE_DATA.",
            stacklevel=4,
        )
        return instead
