"""The documentation site: it builds without a warning, and a reader's browser fetches nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("zensical", "mkdocstrings_handlers") if find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason='pip install "langchain-model-alignment[docs]"'),
    pytest.mark.skipif(not (ROOT / "zensical.toml").exists(), reason="the pages are not beside the tests here"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The site, and what was said while it was built."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", place / "docs")
    shutil.copy(ROOT / "zensical.toml", place)
    (place / "langchain_model_alignment").symlink_to(ROOT / "langchain_model_alignment")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return place / "site", said


def test_it_builds_without_a_warning(built: tuple[Path, str]):
    _, said = built
    assert not re.search(r"warning|error", said, re.IGNORECASE), said


def test_every_page_is_there_and_the_reference_is_filled_in(built: tuple[Path, str]):
    site, _ = built
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()
    text = (site / "reference" / "labeling.html").read_text(encoding="utf-8")
    assert 'id="langchain_model_alignment.Labeler.train_step"' in text
    assert "What comes out is never worse on validation" in text


def test_nothing_is_fetched_from_elsewhere(built: tuple[Path, str]):
    site, _ = built
    fetched = re.compile(r"""<(?:script|img|iframe)[^>]+src=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//""")
    for page in site.rglob("*.html"):
        found = [tag for tag in fetched.findall(page.read_text(encoding="utf-8")) if "canonical" not in tag]
        assert not found, page
