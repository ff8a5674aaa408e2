"""Files and folders are whole or absent, and lie where, and as readable as, their owner wants them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.files import folder_atomically, is_vacant, write_atomically
from workbench.partials import PARTIAL_PREFIX, partial_path, place_meant, remove_partials
from workbench.processes import mark_of, start_of, this_machine


@pytest.fixture
def umask():
    """Set the process's umask for a test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(path: Path, content: str = "new", **options: object) -> None:
    with folder_atomically(path, **options) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a.txt").write_text(content)
        (partial / "last.txt").write_text(content)


def test_new_files_and_folders_are_as_readable_as_the_umask_says(tmp_path, umask):
    for mask, of_files, of_folders in ((0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)):
        umask(mask)
        where = tmp_path / f"{mask:o}"
        fill(where / "made")
        write_atomically(where / "file.txt", "x")
        with folder_atomically(where / "private") as partial:
            descriptor = os.open(partial / "weights", os.O_CREAT, 0o600)  # as safetensors makes its files
            os.close(descriptor)
        assert [mode(where / name) for name in ("file.txt", "made/inner/a.txt", "private/weights")] == [
            of_files
        ] * 3
        assert [mode(where / name) for name in ("made", "made/inner")] == [of_folders] * 2


def test_what_is_replaced_keeps_its_mode(tmp_path):
    write_atomically(tmp_path / "file.txt", "old")
    (tmp_path / "file.txt").chmod(0o640)
    write_atomically(tmp_path / "file.txt", "new")
    assert mode(tmp_path / "file.txt") == 0o640 and (tmp_path / "file.txt").read_text() == "new"
    fill(tmp_path / "folder", "old")
    (tmp_path / "folder").chmod(0o2770)
    fill(tmp_path / "folder")
    assert mode(tmp_path / "folder") == 0o2770 and (tmp_path / "folder/last.txt").read_text() == "new"


def test_links_are_followed(tmp_path):
    disk, here = tmp_path / "disk", tmp_path / "here"
    for folder in (disk / "empty", disk / "full", here):
        folder.mkdir(parents=True)
    (disk / "full/old.txt").write_text("old")
    for name in ("empty", "full", "absent", "file.json"):
        (here / name).symlink_to(disk / name)
    write_atomically(here / "file.json", "{}")
    for name in ("empty", "full", "absent"):
        fill(here / name)
        assert sorted(entry.name for entry in (disk / name).iterdir()) == ["inner", "last.txt"]
    assert (disk / "file.json").read_text() == "{}"
    assert all(entry.is_symlink() for entry in here.iterdir())


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "unmounted/run")
    with pytest.raises(WorkbenchError) as told:
        fill(tmp_path / "run")
    assert str(told.value) == (
        f"{tmp_path}/run is a link to {tmp_path}/unmounted/run, which is not there; mount its disk, or remove the link."
    )


def test_an_empty_folder_is_filled_in_place_and_nothing_else_appears(tmp_path):
    (tmp_path / "volume/lost+found").mkdir(parents=True)
    inode = (tmp_path / "volume").stat().st_ino
    fill(tmp_path / "volume", last="last.txt")
    assert (tmp_path / "volume").stat().st_ino == inode
    assert sorted(e.name for e in (tmp_path / "volume").iterdir()) == ["inner", "last.txt", "lost+found"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["volume"]


@pytest.mark.parametrize("existing", ["absent", "empty", "full"])
def test_after_an_error_nothing_is_left_behind(existing, tmp_path):
    if existing != "absent":
        (tmp_path / "run").mkdir()
    if existing == "full":
        (tmp_path / "run/mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RuntimeError), folder_atomically(tmp_path / "run") as partial:
        (partial / "half").write_text("half")
        raise RuntimeError
    assert sorted(tmp_path.rglob("*")) == before


def test_of_two_that_make_the_same_folder_the_first_stays(tmp_path):
    with folder_atomically(tmp_path / "run", replace=False) as partial:
        (partial / "of").write_text("the second")
        fill(tmp_path / "run", "of the first")
    assert sorted(entry.name for entry in (tmp_path / "run").iterdir()) == ["inner", "last.txt"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


KILLED = """
import os, signal, sys
from pathlib import Path
from workbench.files import folder_atomically
moves, real = int(sys.argv[2]), Path.replace
def replace(self, target):
    global moves
    if self.name != ".moving.json" and not self.name.startswith(".partial-.moving"):
        moves -= 1
        if moves < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
with folder_atomically(Path(sys.argv[1]), last="run.json") as partial:
    for name in ("a", "b", "run.json"):
        (partial / name).write_text(name)
"""


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_a_kill_while_it_is_filled_in_place_leaves_a_folder_that_can_be_filled_again(moves, tmp_path):
    root = Path(__file__).parents[2]
    (tmp_path / "run").mkdir()
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(moves)]
    subprocess.run(words, env=os.environ | {"PYTHONPATH": str(root)}, check=False)
    assert (tmp_path / "run/run.json").exists() == (moves == 3)
    if moves < 3:
        assert is_vacant(tmp_path / "run")
        fill(tmp_path / "run")
        assert {"inner", "last.txt"} == {
            e.name for e in (tmp_path / "run").iterdir() if PARTIAL_PREFIX not in e.name
        }


def leave(folder: Path, name: str, pid: int, started: str, machine: str = "") -> Path:
    """A file as a process leaves it that was killed while it wrote."""
    mark = mark_of(machine or this_machine(), pid, started)
    leftover = folder / f"{PARTIAL_PREFIX}{name}-{mark}-0123abcd"
    leftover.write_text("half")
    return leftover


def test_a_sentence_names_the_place_that_is_meant(tmp_path):
    """Not the name under which it is being written, which nobody has seen."""
    assert place_meant(partial_path(tmp_path / "my-run.html")) == f"{tmp_path}/my-run.html"
    assert place_meant(partial_path(tmp_path / "run") / "checkpoints/x") == f"{tmp_path}/run/checkpoints/x"
    assert place_meant("runs/.partial-x/y") == "runs/.partial-x/y"


def test_only_the_leavings_of_one_name_are_taken_away(tmp_path):
    lora, other = (leave(tmp_path, name, os.getpid(), "1") for name in ("lora", "lora-8"))
    living = leave(tmp_path, "lora", os.getpid(), start_of(os.getpid()))
    remove_partials(tmp_path, "lora")
    assert set(tmp_path.iterdir()) == {other, living} and not lora.exists()
    (tmp_path / f"{PARTIAL_PREFIX}of-an-older-version").mkdir()
    remove_partials(tmp_path)
    assert list(tmp_path.iterdir()) == [living]


@pytest.mark.parametrize("name", ["file", "folder"])
def test_the_next_writer_takes_away_what_a_dead_one_left_and_no_other(name, tmp_path):
    """Of any name; what a living one, another machine, or somebody else has there stays."""
    kept = {
        leave(tmp_path, "result.nc", os.getppid(), start_of(os.getppid())),
        leave(tmp_path, "result.nc", 1, "1", machine="node7 another-boot"),
        tmp_path / ".partial-notes-of-mine",
    }
    (tmp_path / ".partial-notes-of-mine").write_text("mine")
    dead = subprocess.Popen(["true"])
    dead.wait()
    for gone in (leave(tmp_path, "a-b.nc", dead.pid, "1"), leave(tmp_path, "x", os.getppid(), "1")):
        assert gone.exists()
    if name == "file":
        write_atomically(tmp_path / name, "new")
    else:
        fill(tmp_path / name)
    assert set(tmp_path.iterdir()) == kept | {tmp_path / name}


def test_names_as_long_as_the_file_system_takes_are_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write_atomically(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_what_is_swept_was_filled_in_place_wholly_or_is_undone(moves, tmp_path):
    (tmp_path / "run").mkdir()
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(moves)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(words, env=environment, check=False)
    write_atomically(tmp_path / "run/mine", "")
    whole = {"a", "b", "run.json"} if moves == 3 else set()
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == whole | {"mine"}


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0
    if sys.platform == "linux"
    else True,
    reason="mounting a volume needs Linux's user namespaces",
)
def test_a_mounted_volume_is_filled_in_place(tmp_path):
    (tmp_path / "volume").mkdir()
    script = (
        f"mount -t tmpfs none '{tmp_path}/volume' && '{sys.executable}' -c \"from pathlib import Path\n"
        f"from workbench.files import folder_atomically\n"
        f"with folder_atomically(Path('{tmp_path}/volume')) as p: (p / 'run.json').write_text('x')\" "
        f"&& ls '{tmp_path}/volume'"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "run.json\n"), done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["volume"]
