"""Data sets from the network, tried on a server of this machine that may well be ill."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_course import images
from gan_course.images import FetchError, fetched

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (7, 28, 28), dtype=np.uint8)
PIXELS[0, 0, :2] = 0, 255
LABELS = np.arange(7, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """LeCun's format, written from its description."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes())


def archive() -> bytes:
    """Six parts of two photographs each: a label, then 1,024 numbers of each colour.

    Of the first, the label is the part's number; the test's is 0.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for number, part in enumerate(["test_batch", *(f"data_batch_{k}" for k in range(1, 6))]):
            rows = b"".join(
                bytes([label]) + b"".join(bytes([colour] * 1024) for colour in (0, 255, 51))
                for label in (number, 9)
            )
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{part}.bin")
            info.size = len(rows)
            tar.addfile(info, io.BytesIO(rows))
    return made.getvalue()


#: The test's are the training's in the reverse order.
FILES = {
    f"{split}-{kind}-ubyte.gz": idx(array[::step])
    for split, step in (("train", 1), ("t10k", -1))
    for kind, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS))
} | {"cifar-10-binary.tar.gz": archive()}

#: What a server does with the bytes that it should send.
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def whole(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def forbidden(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_error(403)


def html(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    whole(handler, b"<html>Please log in to the guests' network.</html>")


def half(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def half_of_unknown_length(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def nothing(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.close_connection = True


def silence(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    gave_up = handler.server.quiet.wait(60)  # type: ignore[attr-defined]
    assert gave_up, "the reader waits for ever"


ILL: list[Answer] = [forbidden, html, half, half_of_unknown_length, nothing, silence]


class Server(ThreadingHTTPServer):
    answer: Answer = staticmethod(whole)
    asked = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.quiet = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked += 1
        self.server.answer(self, FILES[self.path.rpartition("/")[2]])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server in place of the three, with small files; the cache is empty."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(fetched, "TIMEOUT", 0.5)
    for name in ("MNIST", "FASHION_MNIST", "CIFAR10"):
        remote = getattr(fetched, name)
        md5 = {file: hashlib.md5(FILES[file]).hexdigest() for file in remote.md5}
        local = remote._replace(url=f"http://127.0.0.1:{made.server_port}/", md5=md5)
        monkeypatch.setattr(fetched, name, local)
    yield made
    made.quiet.set()
    made.shutdown()
    thread.join(60)
    assert not thread.is_alive(), "a thread that did not end in 60 s"
    made.server_close()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("load", [images.mnist, images.fashion_mnist])
def test_digits_arrive_as_they_were_sent(load: Callable, split: str, server: Server) -> None:
    pictures, labels = load(split)
    assert pictures.shape == (7, 1, 28, 28)
    step = {"train": 1, "test": -1}[split]
    np.testing.assert_allclose((pictures[:, 0].numpy() + 1) * 127.5, PIXELS[::step], atol=1e-4)
    assert (pictures.min().item(), pictures.max().item()) == (-1, 1)
    assert (labels.tolist(), labels.dtype) == (LABELS[::step].tolist(), torch.int64)
    load(split)
    assert server.asked == 2  # once for each of the two files


def test_photographs_arrive_by_colour(server: Server) -> None:
    for split, parts in (("train", [1, 2, 3, 4, 5]), ("test", [0])):
        pictures, labels = images.cifar10(split)
        assert pictures.shape == (2 * len(parts), 3, 32, 32)
        assert labels.tolist() == [label for part in parts for label in (part, 9)]
        expected = torch.tensor([-1, 1, -0.6]).reshape(1, 3, 1, 1).expand_as(pictures)
        torch.testing.assert_close(pictures, expected)
    assert server.asked == 1


@pytest.mark.parametrize("answer", ILL)
def test_an_ill_server_is_a_clear_error_and_leaves_nothing(
    answer: Answer, server: Server, tmp_path: Path
) -> None:
    server.answer = answer  # type: ignore[method-assign]
    start = time.monotonic()
    with pytest.raises(FetchError) as caught:
        images.mnist("test")
    assert time.monotonic() - start < 30  # a silent server is not waited for
    said = str(caught.value)
    place = tmp_path / "cache" / "mnist" / "t10k-images-idx3-ubyte.gz"
    for words in (
        "t10k-images-idx3-ubyte.gz of mnist could not be fetched",
        str(place),
        fetched.MNIST.url + "t10k-images-idx3-ubyte.gz",
        fetched.MNIST.md5["t10k-images-idx3-ubyte.gz"],
        "GAN_COURSE_DATA",
        "glyphs()",
    ):
        assert words in said
    if answer is forbidden:
        assert "403" in said
    assert left_in(tmp_path) == []
    # The reader does as the message says.
    place.write_bytes(FILES[place.name])
    (place.parent / "t10k-labels-idx1-ubyte.gz").write_bytes(FILES["t10k-labels-idx1-ubyte.gz"])
    assert len(images.mnist("test")[0]) == 7


def test_a_file_placed_by_hand_needs_no_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "mnist"
    folder.mkdir(parents=True)
    for name in fetched.MNIST.md5:
        (folder / name).write_bytes(FILES[name])
    assert len(images.mnist()[0]) == 7
    assert server.asked == 0


def test_a_wrong_file_is_not_believed(server: Server, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    place.parent.mkdir(parents=True)
    wrong = idx(LABELS)
    place.write_bytes(wrong)
    assert images.mnist("test")[1].tolist() == LABELS[::-1].tolist()  # fetched anew
    place.write_bytes(wrong)
    server.answer = forbidden  # type: ignore[method-assign]
    with pytest.raises(FetchError, match="403"):
        images.mnist("test")
    assert place.read_bytes() == wrong  # the reader's own file is left alone


def test_a_folder_that_cannot_be_written_is_said(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "a file"))
    monkeypatch.setattr(fetched.tempfile, "tempdir", str(tmp_path))
    with pytest.warns(UserWarning, match=r"a file.*cannot be written.*GAN_COURSE_DATA"):
        assert len(images.mnist("test")[0]) == 7
    assert (tmp_path / "gan-course" / "mnist" / "t10k-images-idx3-ubyte.gz").is_file()


@pytest.mark.parametrize("load", [images.mnist, images.fashion_mnist, images.cifar10])
@pytest.mark.parametrize("split", ["validation", None, 1, True])
def test_an_unknown_split_is_named(load: Callable, split: object) -> None:
    with pytest.raises(ValueError, match=r"split = .*choose one of \['test', 'train'\]"):
        load(split)


def test_checksums_and_servers_are_well_formed() -> None:
    for remote in (fetched.MNIST, fetched.FASHION_MNIST, fetched.CIFAR10):
        assert remote.url.startswith("https://")
        assert all(len(bytes.fromhex(md5)) == 16 for md5 in remote.md5.values())


def test_without_a_variable_the_users_cache_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    assert fetched.cache_folder().name == "gan-course"
