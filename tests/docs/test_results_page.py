"""The page of measured speeds: what it shows of each record, its filters in a browser, what it refuses."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from bench_records import measurement, run
from markdown_files import ROOT
from mkdocs.config import load_config
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files, set_exclusions
from needs import CHROMIUM

from pocketdet.armmodel.table9 import PRECISIONS
from pocketdet.benchmarks.images import standard_images
from pocketdet.benchmarks.record_io import complete, to_json
from pocketdet.benchmarks.registry import make_submission, read_registry

PICTURES = tuple(image.model_dump() for image in standard_images())

# the title becomes: links in the list | the count | the number of columns of the table, visible ones alone
VISIBLE = """
const visible = (what) => [...document.querySelectorAll(what)].filter((e) => e.offsetParent);
const links = visible("#results-list a").map((a) => a.getAttribute("href")).join(" ");
const count = document.getElementById("results-count").value;
document.title = `${links}|${count}|${visible("#results-matrix th").length}`;
"""


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook of the site, with a registry of a VALID record and one that moved between cores."""
    spec = importlib.util.spec_from_file_location("results_hook", ROOT / "docs/hooks/results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setattr(module, "REGISTRY", folder)
    board = {"device": {"name": "Board <2>", "soc": None}, "run": run(cpu_after=(0,) * 1024)}
    for name, changes in (("phone", {}), ("board", board)):
        record = make_submission(complete(measurement(protocol={"pictures": PICTURES}, **changes)))
        (folder / f"{name}.json").write_text(to_json(record))
    return module


def page(hook: ModuleType) -> str:
    modelled = hook._modelled(hook.CYCLES_PAGE.read_text("utf-8"))
    return "\n".join(hook._page(read_registry(hook.REGISTRY), modelled))


def test_every_time_links_to_its_record(hook: ModuleType) -> None:
    text = page(hook)
    for name in ("phone", "board"):
        record = next(e.record for e in read_registry(hook.REGISTRY) if e.path.stem == name)
        assert record.summary is not None
        assert f"<a href='results/{name}.json'>{record.summary.median:.2f} ms" in text
    assert "Board &lt;2&gt;" in text
    assert "Board <2>" not in text


def test_the_records_are_files_of_the_site(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    monkeypatch.setattr(config.plugins, "_current_plugin", "results", raising=False)  # as in an event
    files = Files([])
    hook.on_files(files, config)
    set_exclusions(files, config)  # as the build does after the hooks
    assert {file.src_uri for file in files if file.inclusion.is_included()} == {
        "results.md",
        "results/phone.json",
        "results/board.json",
    }


def test_an_invalid_run_is_marked_and_has_no_fps(hook: ModuleType) -> None:
    matrix = "".join(hook._matrix(read_registry(hook.REGISTRY), {}))
    board = matrix.partition("board.json")[2].partition("</div>")[0]
    phone = matrix.partition("phone.json")[2].partition("</div>")[0]
    assert "INVALID" in board
    assert "moved between cores" in board
    assert "fps" not in board
    assert "INVALID" not in phone
    assert "fps" in phone


def test_modelled_times_are_a_column_of_their_own(hook: ModuleType) -> None:
    modelled = hook._modelled(hook.CYCLES_PAGE.read_text("utf-8"))
    assert modelled.keys() == {
        (f"thundernet-snet{size}", arithmetic) for size in (49, 146, 535) for arithmetic in PRECISIONS
    }
    assert "modelled: Cortex-A76" in page(hook)
    with pytest.raises(PluginError, match=r"arm-cycles\.md: expected rows such as"):
        hook._modelled("# no table")


def test_a_broken_record_ends_the_build_by_name(hook: ModuleType) -> None:
    path = hook.REGISTRY / "phone.json"
    path.write_text(path.read_text().replace('"fps": ', '"fps": 9'))
    with pytest.raises(PluginError, match=r"phone\.json: summary\.fps is .* was edited\?|was it edited\?"):
        hook.on_files(None, None)


@pytest.mark.parametrize(
    ("address", "shown", "count"),
    [
        ("", {"phone", "board"}, "2 of 2 records"),
        ("#verdict=VALID", {"phone"}, "1 of 2 records"),
        ("#device=Board+%3C2%3E&verdict=INVALID", {"board"}, "1 of 2 records"),
        ("#verdict=VALID&device=Board+%3C2%3E", set(), "0 of 2 records"),
    ],
)
def test_filters_in_the_address_hide_the_other_records(
    hook: ModuleType, tmp_path: Path, address: str, shown: set[str], count: str
) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip(CHROMIUM)
    body = page(hook)
    (tmp_path / "results.html").write_text(f"<!doctype html><meta charset=utf-8><body>{body}")
    shutil.copyfile(ROOT / "docs/results.js", tmp_path / "results.js")
    with (tmp_path / "results.html").open("a") as stream:
        stream.write(f"<script>{VISIBLE}</script>")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    command += ["--dump-dom", f"{(tmp_path / 'results.html').as_uri()}{address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    links, said, columns = done.stdout.partition("<title>")[2].partition("</title>")[0].split("|")
    assert {Path(link).stem for link in links.split()} == shown
    assert said == count
    assert int(columns) == 4 + len(shown)  # model, input, arithmetic and modelled beside the devices
