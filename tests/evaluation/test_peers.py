"""The shipped peers that need no environment of their own, on a tiny model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fewshot_llm.evaluation.suite import Peer, PeerError, eval_folder, load_peers, run_peer, run_suite
from tests.evaluation.conftest import MakeSuite


@pytest.fixture
def shipped_peers(tmp_path: Path, make_suite: MakeSuite) -> None:
    shutil.copytree(eval_folder() / "peers", tmp_path / "peers", dirs_exist_ok=True)


@pytest.mark.usefixtures("shipped_peers")
def test_tfidf_tells_good_from_broken(make_suite: MakeSuite, tmp_path: Path) -> None:
    found = run_suite(make_suite(rungs="[]", peers='["tfidf"]'), tmp_path / "out", allow_scripts=True)
    assert not found.failures
    assert found.summaries[0].accuracy.value == 1
    assert "scikit-learn" in found.cells[0].versions


@pytest.mark.usefixtures("shipped_peers")
def test_plain_trainer_scores_labels_as_the_toolkit_does(make_suite: MakeSuite, tmp_path: Path) -> None:
    """With a learning rate of nearly zero it is the base model: its scores are those of the rung zero-shot."""
    recipe = tmp_path / "still.toml"
    recipe.write_text("epochs = 1\nrank = 2\nlearning_rate = 1e-12\n", encoding="utf-8")
    suite = make_suite(rungs='["zero-shot"]', peers='["peft"]', seeds="[0]", recipe=f'"{recipe}"')
    found = run_suite(suite, tmp_path / "out", allow_scripts=True)
    assert not found.failures
    own, peer = found.cells
    assert peer.cell.model == own.cell.model
    assert peer.losses == pytest.approx(own.losses, abs=1e-3)


@pytest.mark.usefixtures("shipped_peers")
def test_small_probabilities_of_a_peer_are_kept(tmp_path: Path) -> None:
    script = tmp_path / "peers" / "sure.py"
    script.write_text(
        "from protocol import serve\nserve(lambda work: lambda: [[1 / 3, 1e-30]], [])\n", encoding="utf-8"
    )
    work = {"test": ["a text"], "labels": ["good", "broken"]}
    found = run_peer(Peer(about="sure of itself", script=script.name, folder=script.parent), work)
    assert found.log_probabilities[0] == pytest.approx([-1.0986123, -69.0775528], abs=1e-6)


def test_every_peer_has_its_script_and_every_environment_its_packages() -> None:
    import tomllib

    folder = eval_folder() / "peers"
    environments = tomllib.loads((folder / "peers.toml").read_text(encoding="utf-8"))["environments"]
    for peer in load_peers(folder).values():
        assert (folder / peer.script).is_file()
        assert not peer.environment or environments[peer.environment]


def test_a_missing_environment_is_named_whole(tmp_path: Path) -> None:
    """Another folder's suites have another folder's environments: the name alone would point to the checkout's."""
    peer = Peer(about="old libraries", script="old.py", environment=".venv-old", folder=tmp_path / "eval" / "peers")
    with pytest.raises(PeerError, match=re.escape(str(tmp_path / ".venv-old")) + ".*packages that old.py imports"):
        run_peer(peer, {})
    maker = peer.folder / "environments.py"
    maker.parent.mkdir(parents=True)
    maker.touch()
    with pytest.raises(PeerError, match=re.escape(f"{maker} .venv-old")):
        run_peer(peer, {})
