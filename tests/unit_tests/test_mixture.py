"""A mixture: who labels a row, how votes are put together, the file it is kept in, and what it refuses."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

from langchain_model_alignment import Labeler, Mixture, Rulebook
from langchain_model_alignment.errors import ArtifactError, AuthenticationError, ConfigurationError, DataError
from langchain_model_alignment.labeling.experts.mixture import Region
from langchain_model_alignment.labeling.experts.vectors import centroid_of, embed_rows, halves_of, on_a_plane, reach_of
from langchain_model_alignment.labeling.task import Row
from tests.fakes import http_error
from tests.regions import PlaceEmbeddings, RegionWorld, logprob_mixture, mixture_of
from tests.simulated import QUESTION, TASK, book_of, model_of

FARM, CITY = (0.999, 0.0, 0.0, 0.0447), (0.0, 0.999, 0.0, 0.0447)
CAT, LAMP, ROPE = ([f"The text speaks of a {word}."] for word in ("cat", "lamp", "rope"))


def mixture(votes: int = 1, reach: float = 0.8, **fields: Any) -> Mixture:
    """Cats on the farm, lamps in the city, ropes elsewhere."""
    more = {key: value for key, value in fields.items() if key == "scoring"}
    given = {
        "general": book_of({"yes": ROPE}, **more),
        "experts": {"e1": book_of({"yes": CAT}, **more), "e2": book_of({"yes": LAMP}, **more)},
        "regions": (
            Region(centroid=FARM, reach=reach, rulebook="e1", rows=40, words=("barn",)),
            Region(centroid=CITY, reach=reach, rulebook="e2", rows=30),
        ),
        "embeddings": "PlaceEmbeddings:places",
        "votes": votes,
        **{key: value for key, value in fields.items() if key not in more},
    }
    return Mixture(**given)


def said(found: list[Any]) -> list[tuple[Any, list[str]]]:
    return [(p["prediction"], p["experts"]) for p in found]


def texts(*found: str) -> list[dict[str, str]]:
    return [{"text": text} for text in found]


# -- routes ----------------------------------------------------------------------------------------------------


def test_each_row_is_labeled_by_the_expert_of_its_region():
    rows = texts("farm cat spoon", "city cat spoon", "city yak lamp", "farm yak lamp")
    found = mixture_of().infer_checkpoint(mixture(), rows)
    assert said(found) == [("yes", ["e1"]), ("no", ["e2"]), ("yes", ["e2"]), ("no", ["e1"])]
    assert "a cat" in found[0]["request"]
    assert "a lamp" in found[1]["request"]


def test_a_row_far_from_every_region_goes_to_the_general_rulebook():
    found = mixture_of().infer_checkpoint(mixture(), texts("moon cat rope", "moon cat lamp"))
    assert said(found) == [("yes", ["general"]), ("no", ["general"])]


def test_an_empty_row_is_not_embedded_and_goes_to_the_general_rulebook():
    embeddings = PlaceEmbeddings()
    found = mixture_of(embeddings=embeddings).infer_checkpoint(mixture(), texts("", "farm cat rope"))
    assert [p["experts"] for p in found] == [["general"], ["e1"]]
    assert embeddings.asked == ["text: farm cat rope"]


def test_ordered_labels_are_scored_by_their_distance():
    maker, rows = (
        mixture_of(ordered=True),
        [{"text": "farm cat spoon", "label": "yes"}, {"text": "moon", "label": "yes"}],
    )
    assert maker.get_scorecard(rows, maker.infer_checkpoint(mixture(), rows))["mean_absolute_error"] == 0.5


def test_without_regions_nothing_is_embedded():
    embeddings = PlaceEmbeddings()
    maker = mixture_of(embeddings=embeddings)
    assert said(maker.infer_checkpoint(book_of({"yes": CAT}), texts("farm cat")))[0] == ("yes", ["general"])
    assert said(maker.infer_checkpoint(maker.rulebook({"yes": CAT}), texts("farm cat")))[0] == ("yes", ["general"])
    assert embeddings.asked == []


def test_calls_for_one_rulebook_run_together():
    model = model_of(RegionWorld())
    rows = texts(*(f"{place} cat {n}" for n in range(6) for place in ("farm", "city")))
    mixture_of(model=model, max_concurrency=1).infer_checkpoint(mixture(), rows)
    systems = [request.messages[0].text for request in model.requests]
    assert systems == sorted(systems)
    assert len(set(systems)) == 2


# -- votes -----------------------------------------------------------------------------------------------------


def test_the_nearest_regions_vote_and_the_nearer_one_decides():
    between = [math.sqrt(0.6), math.sqrt(0.4), 0.0, 0.0]
    routes = mixture(votes=2, reach=0.1).routes([between])
    assert [name for name, _ in routes[0]] == ["e1", "e2"]
    assert routes[0][0][1] > routes[0][1][1]
    found = mixture_of().infer_checkpoint(mixture(votes=2, reach=-1.0), texts("farm yak lamp"))
    assert said(found) == [("no", ["e1", "e2"])]


def test_only_regions_within_reach_vote():
    assert mixture(votes=2).routes([list(FARM)]) == [(("e1", pytest.approx(1.0, abs=0.01)),)]


def test_two_regions_of_one_expert_are_one_vote_with_both_weights():
    one = mixture(votes=2, reach=-1.0)
    regions = tuple(region.model_copy(update={"rulebook": "e1"}) for region in one.regions)
    route = one.model_copy(update={"regions": regions}).routes([[0.8, 0.6, 0.0, 0.0]])[0]
    assert [name for name, _ in route] == ["e1"]
    assert route[0][1] == pytest.approx(1.4, abs=0.01)


def test_probabilities_are_averaged_by_similarity():
    near = mixture(votes=2, reach=-1.0, scoring="logprob")
    maker = logprob_mixture(embeddings=PlaceEmbeddings())
    found = maker.infer_checkpoint(near, texts("farm city yak lamp"))[0]
    # Both are equally near; one says yes with 0.9, the other with 0.3.
    assert found["prediction"] == "yes"
    assert found["confidence"] == pytest.approx(0.6, abs=0.001)
    assert found["experts"] == ["e2", "e1"]  # the one whose answer it is comes first
    assert "a lamp" in found["request"]
    sure = maker.infer_checkpoint(near, texts("farm city yak lamp"), threshold=0.7)[0]
    assert (sure["prediction"], sure["confidence"]) == ("", pytest.approx(0.6, abs=0.001))


def test_who_fails_or_abstains_has_no_vote():
    def reply(messages: list[Any]) -> Any:
        system = messages[0].text
        if "a cat" in system:
            return http_error(400) if "yak" in messages[1].text else "perhaps"
        return RegionWorld()(messages)

    found = mixture_of(reply).infer_checkpoint(
        mixture(votes=2, reach=-1.0), texts("farm yak lamp", "farm dog lamp", "city emu spoon")
    )
    assert said(found) == [("yes", ["e2", "e1"]), ("yes", ["e2", "e1"]), ("no", ["e2", "e1"])]
    assert [p["error"] for p in found] == [None, None, None]


def test_a_row_whose_only_expert_fails_is_that_rows_failure():
    def reply(messages: list[Any]) -> Any:
        return http_error(400) if "yak" in messages[1].text else RegionWorld()(messages)

    found = mixture_of(reply).infer_checkpoint(mixture(), texts("farm yak", "city cat lamp"))
    assert found[0]["prediction"] == ""
    assert found[0]["error"]
    assert found[1]["prediction"] == "yes"


def test_a_wrong_key_ends_it():
    with pytest.raises(AuthenticationError):
        mixture_of(lambda _: http_error(401)).infer_checkpoint(mixture(), texts("farm yak"))


def test_principles_that_decided_are_those_of_the_expert():
    found = mixture_of().infer_checkpoint(mixture(), texts("city yak lamp"), explain=True)
    assert found[0]["principle_ids"] == ["p1"]


# -- the file --------------------------------------------------------------------------------------------------


def test_a_mixture_goes_to_a_file_and_back(tmp_path: Path):
    path = mixture(votes=2).save(tmp_path / "mixture.json")
    loaded = Mixture.load(path)
    assert loaded == mixture(votes=2)
    assert loaded.fingerprint() == mixture(votes=2).fingerprint() != mixture().fingerprint()
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert (plain["kind"], plain["version"]) == ("mixture", 1)
    assert plain["regions"][0]["centroid"] == list(FARM)
    assert plain["embeddings"] == "PlaceEmbeddings:places"


def test_a_rulebook_is_read_as_a_mixture_without_experts(tmp_path: Path):
    path = book_of({"yes": CAT}).save(tmp_path / "rulebook.json")
    assert Mixture.load(path).rulebooks == {"general": book_of({"yes": CAT})}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version"),
        ({"kind": "other"}, "kind"),
        ({"experts": {}}, "no such expert"),
        ({"votes": 0}, "votes"),
    ],
)
def test_what_is_no_mixture_is_refused_in_one_sentence(tmp_path: Path, change: dict[str, Any], told: str):
    path = tmp_path / "mixture.json"
    path.write_text(json.dumps({**mixture().model_dump(mode="json"), **change}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=told):
        Mixture.load(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "list.json"
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is no mixture"):
        Mixture.load(path)


def test_a_mixture_is_no_rulebook(tmp_path: Path):
    with pytest.raises(ArtifactError, match="no rulebook"):
        Rulebook.load(mixture().save(tmp_path / "mixture.json"))


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        mixture(
            regions=(Region(centroid=FARM, reach=0, rulebook="e1"), Region(centroid=(1.0,), reach=0, rulebook="e1"))
        )
    other = TASK.model_copy(update={"label_name": "other"})
    with pytest.raises(ValueError, match="different tasks"):
        mixture(experts={"e1": Rulebook(task=other), "e2": Rulebook(task=other)})
    with pytest.raises(ValueError, match="names the rulebook for the rest"):
        mixture(experts={"general": book_of()}, regions=())


def test_a_mixture_reads_as_its_rulebooks(capsys: pytest.CaptureFixture[str]):
    mixture_of().print_checkpoint(mixture())
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("########")] == [
        "######## general",
        "######## e1: 40 training rows (barn)",
        "######## e2: 30 training rows",
    ]
    assert Mixture(general=book_of({"yes": CAT})).as_text() == book_of({"yes": CAT}).as_text()


def test_what_every_rulebook_says_is_shared():
    both = book_of({"yes": [*CAT, *LAMP]})
    one = Mixture(general=both, experts={"e1": both, "e2": book_of({"yes": LAMP, "no": CAT})})
    assert [p.sentence() for p in one.shared()] == LAMP


# -- what does not fit -----------------------------------------------------------------------------------------


def test_a_mixture_of_another_task_is_refused():
    other = TASK.model_copy(update={"label_values": ("yes", "no", "both")})
    with pytest.raises(ArtifactError, match="another task"):
        mixture_of().infer_checkpoint(Mixture(general=Rulebook(task=other)), texts("farm cat"))


def test_other_embeddings_are_refused_by_name_before_a_call():
    embeddings = PlaceEmbeddings("other")
    with pytest.raises(ArtifactError, match=r"PlaceEmbeddings:places, and these are PlaceEmbeddings:other"):
        mixture_of(embeddings=embeddings).infer_checkpoint(mixture(), texts("farm cat"))
    assert embeddings.asked == []


def test_vectors_of_another_length_are_refused():
    class Longer(PlaceEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[*vector, 1.0] for vector in super().embed_documents(texts)]

    Longer.__name__ = "PlaceEmbeddings"
    with pytest.raises(ArtifactError, match="vectors of 5 numbers, and this mixture was trained on 4"):
        mixture_of(embeddings=Longer()).infer_checkpoint(mixture(), texts("farm cat"))


class Odd(Embeddings):
    def __init__(self, *vectors: list[float]) -> None:
        self.vectors = list(vectors)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.vectors

    def embed_query(self, text: str) -> list[float]:
        return self.vectors[0]


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        (([1.0, 0.0], [math.nan, 0.0]), "no numbers for 1 of 2 texts, such as 'b'"),
        (([1.0, 0.0], [math.inf, 0.0]), "no numbers for 1 of 2 texts"),
        (([1.0, 0.0], [1.0]), "vectors of 1 and of 2 numbers"),
        (([1.0, 0.0],), "1 vectors for 2 texts"),
    ],
)
async def test_odd_vectors_are_one_sentence(vectors: tuple[list[float], ...], told: str):
    with pytest.raises(DataError, match=told):
        await embed_rows(Odd(*vectors), [Row("1", "a"), Row("2", "b")])


def test_what_is_no_embedding_and_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ConfigurationError, match="A str is no LangChain Embeddings"):
        mixture_of(embeddings="wordllama")
    for name in ("max_experts", "min_rows", "votes"):
        with pytest.raises(DataError, match=f"{name} is 0; give at least"):
            mixture_of(**{name: 0})


def test_the_makers_can_be_exchanged():
    """What calls a Labeler can call a MixtureOfExperts."""
    maker = Labeler(["text"], "label", ["yes", "no"], QUESTION, model_of(RegionWorld()))
    for one in (maker, mixture_of()):
        rulebook = one.rulebook({"yes": CAT})
        rows = [{"text": "farm cat", "label": "yes"}, {"text": "city cat", "label": "no"}]
        found = one.infer_checkpoint(rulebook, rows)
        assert one.get_scorecard(rows, found)["accuracy"] == one.get_score(rows, found) == 0.5
        assert one.task == maker.task
        assert one.usage.calls == 2


# -- points ----------------------------------------------------------------------------------------------------


async def test_directions_are_of_length_one_and_a_point_zero_has_none():
    found = await embed_rows(Odd([3.0, 4.0], [0.0, 0.0]), [Row("1", "a"), Row("2", "b"), Row("3", " "), Row("4", "a")])
    assert {id: point.tolist() for id, point in found.items()} == {"1": [0.6, 0.8], "4": [0.6, 0.8]}


def test_two_clusters_are_found_and_one_where_all_points_are_the_same():
    centroids = halves_of([centroid_of([point]) for point in ([1, 0.1], [1, 0], [0, 1], [0.1, 1])], 0)
    assert sorted(center.round(1).tolist() for center in centroids) == [[0.0, 1.0], [1.0, 0.0]]
    assert len(halves_of([centroid_of([[1, 2]])] * 5, 0)) == 1
    assert halves_of([], 0) == []


def test_the_reach_of_a_region_holds_nearly_all_of_its_rows():
    center = centroid_of([[1.0, 0.0]])
    points = [centroid_of([[1.0, at / 200]]) for at in range(100)]
    within = [point for point in points if float(point @ center) >= reach_of(center, points)]
    assert 97 <= len(within) <= 99
    assert reach_of(center, points[:1]) < 1.0


def test_points_are_laid_out_on_a_plane():
    flat = on_a_plane({name: centroid_of([point]) for name, point in (("a", [1, 0, 0]), ("b", [0, 1, 0]))})
    assert abs(flat["a"][0] - flat["b"][0]) == pytest.approx(math.sqrt(2), abs=0.001)
    assert on_a_plane({"a": centroid_of([[1.0, 2.0]])}) == {"a": (0.0, 0.0)}
