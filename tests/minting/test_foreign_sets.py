"""Minted sets that came from elsewhere, or were changed on disk: refused in a line, within their folder."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from decoder import conditional
from gansmith import data
from gansmith.cards import release
from gansmith.errors import UserError
from gansmith.minting import Minted, mint, shards
from gansmith.processes import alone

LAYOUTS = ("npz", "tar", "parquet", "folder")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maker") / "told"
    conditional().save_pretrained(folder)
    return folder


@pytest.fixture
def minted(told: Path, tmp_path: Path) -> Callable[[Any], Path]:
    def make(layout: Any) -> Path:
        mint(told, 20, tmp_path / "set", layout=layout, shard=10, workers=1)
        return tmp_path / "set"

    return make


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "mint.json").read_text())
    edit(content)
    (folder / "mint.json").write_text(json.dumps(content))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_was_changed_is_noticed_and_so_is_one_that_is_no_shard(
    layout: str, minted: Callable[[Any], Path]
) -> None:
    folder = minted(layout)
    images, labels = shards.read(folder, Minted.read(folder).plan, Minted.read(folder).shards[0])
    assert images.shape == (10, 1, 28, 28)
    assert sorted(labels) == list(range(10))  # type: ignore[arg-type]
    path = folder / Minted.read(folder).shards[0].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{path}: is damaged (it is not what was written); mint it again")):
        release.of_minted(folder, 100)
    if layout != "folder":  # a hostile set names the digest of what it holds
        path.write_bytes(b"no such file" * 40)
        change(
            folder,
            lambda said: said["shards"][0].update(bytes=480, sha256=hashlib.sha256(b"no such file" * 40).hexdigest()),
        )
        with pytest.raises(UserError, match=re.escape(f"{path}: ") + ".*(mint|make) it again"):
            release.of_minted(folder, 100)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_set_is_data_to_train_on(layout: str, minted: Callable[[Any], Path]) -> None:
    folder = minted(layout)
    plan, parts = Minted.read(folder).plan, Minted.read(folder).shards
    images, labels = map(np.concatenate, zip(*(shards.read(folder, plan, each) for each in parts), strict=True))
    found = data.load(folder)
    assert found.labels is not None
    assert found.classes == plan.classes
    there = sorted(zip(found.labels.tolist(), found.take(np.arange(20)).tolist(), strict=True))
    assert there == sorted(zip(labels.tolist(), images.tolist(), strict=True))
    assert "gansmith made these images" in data.inspect(folder).notes


def test_pictures_of_another_size_are_not_decoded(minted: Callable[[Any], Path]) -> None:
    folder = minted("folder")
    shard = Minted.read(folder).shards[0]
    picture, bomb = folder / shard.name, BytesIO()
    Image.new("L", (9000, 9000)).save(bomb, "png")
    picture.write_bytes(bomb.getvalue())
    paths = sorted((folder / "train").rglob("*.png"), key=lambda path: path.stem)[:10]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    change(folder, lambda said: said["shards"][0].update(bytes=picture.stat().st_size, sha256=digest))
    with pytest.raises(UserError, match=r"is damaged \(a picture of 9000x9000"):
        release.of_minted(folder, 100)
    (folder / "train" / "notes.png").write_bytes(b"a file of its owner")  # is none of the set's, and no hindrance
    mint_again = shards.read(folder, Minted.read(folder).plan, Minted.read(folder).shards[1])[0]
    assert len(mint_again) == 10


def test_an_archive_that_unpacks_to_more_than_its_plan_is_not_unpacked(minted: Callable[[Any], Path]) -> None:
    folder = minted("npz")
    path = folder / "train-00000.npz"
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**5, 28, 28)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(10**5 * 784))
    change(
        folder,
        lambda said: said["shards"][0].update(
            bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
        ),
    )
    with pytest.raises(UserError, match=r"train-00000.npz, images: has shape \(100000, 28, 28\), more than"):
        release.of_minted(folder, 100)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m["shards"][0].update(name="../told/model.safetensors"), "it is no file of the set"),
        (lambda m: m["shards"][0].update(name="/etc/hostname"), "it is no file of the set"),
        (lambda m: m["shards"][0].update(rows=10**15), "more images than were asked for"),
        (lambda m: m["shards"][0].update(counts=[3]), "counts are of other classes"),
        (lambda m: m["plan"].update(n=10**12), "plan.n = "),
        (lambda m: m["plan"].update(shape=[1, 10**6, 10**6]), "no recipe makes such images"),
        (lambda m: m["plan"].update(classes=[]), "do not belong together"),
        (lambda m: m["plan"].update(class_counts=[1, 2]), "do not belong together"),
        (lambda m: m["plan"].update(class_counts=[0] * 10), "class_counts: are numbers of images"),
        (lambda m: m["plan"].update(class_counts=[2, -1, *[0] * 8]), "class_counts: are numbers of images"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_by_those_who_read_and_by_mint(
    edit: Callable[[dict[str, Any]], object], said: str, minted: Callable[[Any], Path], told: Path
) -> None:
    folder = minted("npz")
    change(folder, edit)
    for read in (lambda: release.of_minted(folder, 100), lambda: mint(told, 20, folder, shard=10, workers=1)):
        with pytest.raises(UserError, match=f"mint.json: .*{re.escape(said)}") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_set_is_gone_on_with_when_its_generator_has_another_name(told: Path, tmp_path: Path) -> None:
    mint(told, 20, tmp_path / "set", shard=10, workers=1)
    moved = tmp_path / "moved"
    shutil.copytree(told, moved)
    (tmp_path / "set" / "train-00001.npz").unlink()
    assert mint(moved, 20, tmp_path / "set", shard=10, workers=1).complete
    with pytest.raises(UserError, match=r"holds another set \(seed 0, not 1"):
        mint(moved, 20, tmp_path / "set", seed=1, shard=10, workers=1)


def test_one_process_at_a_time_mints_into_a_folder(told: Path, tmp_path: Path) -> None:
    """Flock counts by open file: a second one in this process is refused as one in another is."""
    folder = tmp_path / "set"
    folder.mkdir()
    with alone(folder, "taken"), pytest.raises(UserError, match="set: another process mints into it; wait for its end"):
        mint(told, 20, folder, workers=1)
    assert not list(folder.iterdir())
    assert mint(told, 20, folder, workers=1).complete


def test_a_script_without_a_guard_starts_processes_that_do_not_run_it_again(tmp_path: Path) -> None:
    """As in ``gs.mint("mnist", 5000, "out")`` on the one line of a script."""
    script = tmp_path / "script.py"
    script.write_text(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from gansmith.processes import Fresh\n"
        "print('once')\n"
        "with ProcessPoolExecutor(2, Fresh()) as pool:\n"
        "    print(list(pool.map(abs, [-1, -2])))\n"
    )
    for given in ([str(script)], ["-"]):
        with script.open() as source:
            done = subprocess.run(
                [sys.executable, *given], stdin=source, capture_output=True, text=True, timeout=60, check=False
            )
        assert (done.stdout, done.returncode) == ("once\n[1, 2]\n", 0), done.stderr
