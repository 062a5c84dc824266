"""A checkpoint is whole or it is not there, whatever happens while it is written."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tools import ROOT
from toys import differing, trainer

from gan_course import checkpoints
from gan_course.training import Trainer


def state(ours: Trainer) -> dict[str, torch.Tensor]:
    return ours.state.state_dict()


@pytest.mark.parametrize("runs", [None, 3])
def test_a_training_goes_on_from_its_checkpoint(runs: int | None, tmp_path: Path):
    through, first, second = (trainer("norms", runs, averaging=0.9) for _ in range(3))
    through.train(9), first.train(5)
    checkpoints.save(tmp_path / "a", first)
    assert checkpoints.load(tmp_path / "a", second) == tmp_path / "a"
    second.train(4)
    assert differing(state(second), state(through)) == []


def test_the_same_call_goes_on_with_a_training_that_was_stopped(tmp_path: Path):
    through, path = trainer(), tmp_path / "ring"
    through.train(12)

    def stop(ours: Trainer) -> None:
        if ours.steps == 5:
            signal.raise_signal(signal.SIGINT)

    assert len(trainer().train(12, stop, checkpoint=path, every=3)) == 5
    again = trainer()
    history = again.train(12, checkpoint=path, every=3)
    assert history.first == 5
    assert len(history) == 7
    assert differing(state(again), state(through)) == []
    done = trainer()
    assert len(done.train(12, checkpoint=path)) == 0  # it is there
    assert differing(state(done), state(through)) == []


def test_it_is_saved_every_so_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    at: list[int] = []
    monkeypatch.setattr(checkpoints, "save", lambda _, ours: at.append(ours.steps))
    trainer().train(10, checkpoint=tmp_path / "a", every=4)
    assert at == [4, 8, 10]


def two(path: Path) -> tuple[Trainer, dict, dict]:
    """A training saved after two and after four steps."""
    ours = trainer()
    ours.train(2)
    checkpoints.save(path, ours)
    earlier = state(ours)
    ours.train(2)
    checkpoints.save(path, ours)
    return ours, earlier, state(ours)


def test_two_are_kept_with_their_checksums(tmp_path: Path):
    two(tmp_path / "a")
    assert {file.name for file in tmp_path.iterdir()} == {
        "a",
        "a.sha256",
        "a.previous",
        "a.previous.sha256",
    }


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        flip,
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["a flipped bit", "truncated", "empty"],
)
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_loaded(
    spoil: Callable[[Path], object], tmp_path: Path
):
    path = tmp_path / "a"
    _, earlier, _ = two(path)
    spoil(path)
    ours = trainer(weights=1)
    with pytest.warns(UserWarning, match=r"a does not have its checksum\. Loaded .*a\.previous"):
        checkpoints.load(path, ours)
    assert differing(state(ours), earlier) == []
    assert ours.steps == 2
    spoil(tmp_path / "a.previous")
    before = state(ours)
    with pytest.raises(checkpoints.CheckpointError, match=r"a does not .*; .*a\.previous does not"):
        checkpoints.load(path, ours)
    assert differing(state(ours), before) == []


class Malice:
    def __reduce__(self) -> tuple:
        return os.system, ("touch pwned",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import hashlib

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a"
    torch.save({"tensors": Malice()}, path)
    (tmp_path / "a.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(checkpoints.CheckpointError, match="holds more than tensors"):
        checkpoints.load(path, trainer())
    path.write_bytes(pickle.dumps(Malice(), protocol=2))
    (tmp_path / "a.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(checkpoints.CheckpointError, match="holds more than tensors"):
        checkpoints.load(path, trainer())
    assert not (tmp_path / "pwned").exists()


def test_no_checkpoint_and_another_trainings(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        checkpoints.load(tmp_path / "a", trainer())
    two(tmp_path / "a")
    with pytest.raises(ValueError, match="of another training"):
        checkpoints.load(tmp_path / "a", trainer("norms"))


FULL = """
import resource, sys
sys.path.insert(0, {tests!r})
from toys import trainer
from gan_course import checkpoints
ours = trainer()
ours.train(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    checkpoints.save({path!r}, ours)
except OSError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no RLIMIT_FSIZE")
def test_on_a_full_disk_the_old_checkpoint_stays(tmp_path: Path):
    path = tmp_path / "a"
    _, _, latest = two(path)
    code = FULL.format(tests=str(ROOT / "tests"), path=str(path))
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + code,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert "it needs 0.1 MB" in run.stdout
    assert "the old one stays" in run.stdout
    ours = trainer(weights=1)
    assert checkpoints.load(path, ours) == path
    assert differing(state(ours), latest) == []
    assert not list(tmp_path.glob("*.new*"))


SAVING = """
import sys
sys.path.insert(0, {tests!r})
from toys import trainer
from gan_course import checkpoints
ours = trainer()
print("ready", flush=True)
while True:
    ours.train(1)
    checkpoints.save({path!r}, ours)
"""


def killed_while_saving(path: Path, seconds: float) -> None:
    """Start a process that saves without end, and kill it that long after its second save."""
    code = SAVING.format(tests=str(ROOT / "tests"), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    end = time.monotonic() + 120
    while not path.with_name(path.name + ".previous").exists():
        assert process.poll() is None, "the process that saves has ended by itself"
        assert time.monotonic() < end, "the process that saves has not saved twice in 120 s"
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_a_process_killed_while_saving_leaves_one_that_loads(tmp_path: Path):
    delays = random.Random(0)
    for _ in range(3):
        killed_while_saving(tmp_path / "a", delays.uniform(0, 0.1))
        ours = trainer(weights=1)
        checkpoints.load(tmp_path / "a", ours)
        assert ours.steps >= 1
        for file in tmp_path.iterdir():
            file.unlink()


def save_until(renamings: int, path: Path, ours: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save as a process does that is killed after so many renamings."""
    left, replace = [renamings], Path.replace

    def until_killed(self: Path, to: Path) -> None:
        if not left[0]:
            raise InterruptedError
        left[0] -= 1
        replace(self, to)

    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", until_killed)
        checkpoints.save(path, ours)


@pytest.mark.parametrize("stopped_after", range(6))
def test_wherever_saving_stops_one_loads(
    stopped_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each renaming in turn is the last thing that a process did."""
    path = tmp_path / "a"
    ours, _, latest = two(path)
    ours.train(1)
    killed = stopped_after < 4
    with pytest.raises(InterruptedError) if killed else nullcontext():
        save_until(stopped_after, path, ours, monkeypatch)
    found = trainer(weights=1)
    checkpoints.load(path, found)
    expected = latest if killed else state(ours)
    assert differing(state(found), expected) == []


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_two_stops_in_a_row_or_a_damage_and_a_stop_lose_nothing(
    first: int, second: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for damaged in (False, True):
        path = tmp_path / f"a{damaged}"
        ours, _, _ = two(path)
        if damaged:
            flip(path)
        else:
            with pytest.raises(InterruptedError):
                save_until(first, path, ours, monkeypatch)
        # What is damaged or gone is not moved first, so that there are two renamings, not four.
        moved = path.exists() and not damaged
        with pytest.raises(InterruptedError):
            save_until(second if moved else min(second, 1), path, ours, monkeypatch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoints.load(path, trainer(weights=1))


def test_the_command_refuses_other_settings_than_its_checkpoint_has(tmp_path: Path):
    from gan_course.__main__ import main

    command = ["train", "ring", "--device", "cpu", "--checkpoint", str(tmp_path / "a")]
    main([*command, "--steps", "1"])
    with pytest.raises(SystemExit, match="loss = 'non-saturating'"):
        main([*command, "--steps", "2", "--loss", "hinge"])
    with pytest.raises(SystemExit, match="seed = 1: the saved training has seed 0"):
        main([*command, "--steps", "2", "--seed", "1"])


def test_the_command_reads_its_checkpoint_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gan_course.__main__ import main

    read: list[Path] = []
    load = checkpoints.load

    def counted(path: Path, training: Trainer) -> Path:
        read.append(path)
        return load(path, training)

    monkeypatch.setattr(checkpoints, "load", counted)
    for steps in ("1", "2"):
        command = ["train", "ring", "--device", "cpu", "--steps", steps]
        main([*command, "--checkpoint", str(tmp_path / "a")])
    assert read == [tmp_path / "a"]


@pytest.mark.slow
def test_the_command_learns_the_digits(tmp_path: Path, capsys: pytest.CaptureFixture):
    from gan_course.__main__ import main

    def mmd(steps: int) -> float:
        arguments = ["train", "digits", "--device", "cpu", "--steps", str(steps)]
        main([*arguments, "--checkpoint", str(tmp_path / "a")])
        return float(capsys.readouterr().out.split("MMD² to the data ")[1].split(";")[0])

    before, after = mmd(1), mmd(150)
    assert 0 < after < before / 2
    assert torch.load(tmp_path / "a", weights_only=True)["steps"] == 150


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(OSError, match="its folder does not exist") as told:
        checkpoints.save(tmp_path / "nowhere" / "a", trainer())
    assert "stays" not in str(told.value)


def test_the_command_goes_on_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    from gan_course.__main__ import main

    def command(path: str, steps: int) -> str:
        arguments = ["train", "ring", "--runs", "2", "--steps", str(steps), "--device", "cpu"]
        main([*arguments, "--checkpoint", str(tmp_path / path)])
        return capsys.readouterr().out

    whole = command("whole", 6)
    command("parts", 4)
    torch.manual_seed(7)
    parts = command("parts", 6)
    assert parts.splitlines()[1:] == whole.splitlines()[1:]
    assert whole.startswith("6 steps, in ")
    assert "run 1: " in whole
    contents = [torch.load(tmp_path / name, weights_only=True) for name in ("whole", "parts")]
    assert differing(*(content["tensors"] for content in contents)) == []
    with pytest.raises(SystemExit, match="of another training"):
        main(
            [
                "train",
                "ring",
                "--steps",
                "9",
                "--device",
                "cpu",
                "--checkpoint",
                str(tmp_path / "parts"),
            ]
        )
