"""Feedback from elsewhere: tables and LangSmith's records become feedback records, whole or not at all."""

import json
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pandas as pd
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langsmith import schemas

from langchain_model_alignment.errors import ArtifactError, DataError, DataWarning
from langchain_model_alignment.feedback.batch.records import FeedbackRecord
from langchain_model_alignment.integrations.feedback_tables import read_feedback
from langchain_model_alignment.integrations.langsmith import from_langsmith

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(records: list[FeedbackRecord]) -> list[tuple[str, str]]:
    return [(r.feedback.kind, r.feedback.text) for r in records]


# -- the layouts of a table ------------------------------------------------------------------------------------


def test_kind_and_text():
    rows = [
        {"response": "A.", "kind": "Critique ", "text": "too long"},
        {"response": "B.", "kind": "kudos", "text": "x"},
    ]
    assert said(read_feedback(rows)) == [("critique", "too long"), ("kudos", "x")]


def test_a_column_for_each_kind_of_which_a_row_may_fill_several():
    rows = [
        {"response": "A.", "critique": "too long", "kudos": "", "rewrite": "A!"},
        {"response": "B.", "critique": None, "kudos": "kind", "rewrite": None},
    ]
    records = read_feedback(rows)
    assert said(records) == [("critique", "too long"), ("rewrite", "A!"), ("kudos", "kind")]
    assert [r.id for r in records] == ["row1.critique", "row1.rewrite", "row2"]


@pytest.mark.parametrize(
    "rating", ["good", "Good ", "👍", "👍🏽", "👍️", "up", "true", True, "1", 1, 1.0, "POSITIVE", "yes"]
)
def test_a_good_rating_makes_the_comment_praise(rating: Any):
    assert said(read_feedback([{"response": "A.", "rating": rating, "comment": "kind"}])) == [("kudos", "kind")]


@pytest.mark.parametrize("rating", ["bad", "👎", "👎🏿", "down", "False", False, "0", 0, 0.0, "negative", "no"])
def test_a_bad_rating_makes_the_comment_a_critique(rating: Any):
    assert said(read_feedback([{"response": "A.", "rating": rating, "comment": "long"}])) == [("critique", "long")]


def test_a_comment_without_a_rating_is_a_critique():
    rows = [{"response": "A.", "rating": None, "comment": "long"}, {"response": "B.", "rating": 1, "comment": "kind"}]
    assert said(read_feedback(rows)) == [("critique", "long"), ("kudos", "kind")]


def test_a_score_with_a_comment_is_a_score():
    record = read_feedback([{"response": "A.", "score": "0.2", "comment": "rambles"}])[0]
    assert (record.feedback.kind, record.feedback.score, record.feedback.text) == ("score", 0.2, "rambles")


def test_the_chosen_one_of_two_responses_with_a_reason_is_a_preference():
    record = read_feedback([{"chosen": "Short.", "rejected": "Very long.", "reason": "brief"}])[0]
    assert (record.response, record.feedback.response, record.feedback.rejected) == ("Short.", "Short.", "Very long.")
    assert said([record]) == [("preference", "brief")]


def test_inputs_are_a_dict_or_named_columns():
    row = {"inputs": {"item": "a {rope}", "n": 3}, "topic": "ships", "response": "A.", "critique": "x"}
    assert read_feedback([row])[0].inputs == {"item": "a {rope}", "n": 3}
    assert read_feedback([row], inputs=["topic"])[0].inputs == {"topic": "ships"}


def test_without_inputs_there_are_none():
    assert read_feedback([{"response": "A.", "critique": "x"}])[0].inputs == {}


def test_an_id_column_names_the_rows_and_else_their_number_does():
    rows = [{"id": 7, "response": "A.", "critique": "x"}, {"id": "b", "response": "B.", "critique": "y"}]
    assert [r.id for r in read_feedback(rows)] == ["7", "b"]
    assert [r.id for r in read_feedback([{"response": "A.", "critique": "x"}] * 2)] == ["row1", "row2"]


def test_what_is_without_words_is_left_out_and_said_once():
    rows = [{"response": "A.", "rating": "good", "comment": c} for c in ("kind", "", None, "  ", "long")]
    with pytest.warns(DataWarning, match="3 rows have no words to learn from") as found:
        records = read_feedback(rows)
    assert [r.id for r in records] == ["row1", "row5"]
    assert len(found) == 1


def test_a_preference_without_a_reason_has_no_words_to_learn_from():
    rows = [{"chosen": "A.", "rejected": "B.", "reason": None}, {"chosen": "A.", "rejected": "B.", "reason": "brief"}]
    with pytest.warns(DataWarning, match="1 row has no words"):
        assert said(read_feedback(rows)) == [("preference", "brief")]


def test_empty_rows_of_a_spreadsheet_are_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_feedback([{"response": "A.", "critique": "x"}, {"response": "", "critique": None}])) == 1


# -- where a table comes from ----------------------------------------------------------------------------------

ROWS = [
    {"response": 'He said "no",\nand left.', "rating": "👎", "comment": "rude {name}", "item": "{item}"},
    {"response": "Yes.", "rating": "👍", "comment": "brief", "item": "café"},
]


def test_a_table_is_the_same_from_everywhere(tmp_path: Path):
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "said.csv", index=False)
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n\n", encoding="utf-8")
    wanted = read_feedback(ROWS, inputs=["item"])
    assert wanted[0].inputs == {"item": "{item}"}
    for source in (frame, tmp_path / "said.csv", str(tmp_path / "said.jsonl"), iter(ROWS)):
        assert read_feedback(source, inputs=["item"]) == wanted


def test_the_byte_order_mark_of_a_spreadsheet_is_no_part_of_a_name(tmp_path: Path):
    (tmp_path / "said.csv").write_bytes("response,critique\nA.,long\n".encode("utf-8-sig"))
    assert said(read_feedback(tmp_path / "said.csv")) == [("critique", "long")]


def test_what_pandas_calls_missing_is_empty():
    frame = pd.DataFrame(
        {"response": ["A.", "B."], "score": [0.0, float("nan")], "comment": ["long", pd.NA], "n": [1, 2]}
    )
    with pytest.warns(DataWarning, match="1 row"):
        record = read_feedback(frame, inputs=["n"])[0]
    assert (record.feedback.score, record.inputs) == (0.0, {"n": 1})


def test_a_cell_of_inputs_in_a_csv_is_json(tmp_path: Path):
    pd.DataFrame([{"inputs": '{"item": "rope"}', "response": "A.", "critique": "x"}]).to_csv(tmp_path / "s.csv")
    assert read_feedback(tmp_path / "s.csv")[0].inputs == {"item": "rope"}


# -- what does not fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"response": "A.", "critique": "x"}, {"response": " ", "critique": "y"}],
            "Row 2 has feedback but no response",
        ),
        ([{"response": "A.", "rating": "meh", "comment": "x"}], "Row 1 has the rating 'meh'; write good or bad"),
        ([{"response": "A.", "score": 4, "comment": "x"}], "Row 1 has the score 4; give one from 0"),
        ([{"response": "A.", "score": "nan", "comment": "x"}], "Row 1 has the score 'nan'"),
        ([{"response": "A.", "kind": "rant", "text": "x"}], "Row 1 has the kind 'rant'; write critique, kudos or"),
        ([{"response": "A.", "critique": "x", "inputs": "rope"}], "Row 1 has no dict in its column inputs"),
        ([{"id": 1, "response": "A.", "critique": "x"}] * 2, "Row 2 has the id '1' of row 1"),
        (["A."], "Row 1 is a str; give a dict"),
        ([], "no rows"),
    ],
)
def test_a_row_that_does_not_fit_is_named_with_what_to_do(rows: Any, words: str):
    with pytest.raises(DataError) as error:
        read_feedback(rows)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "columns",
    [["a", "b"], ["response"], ["response", "comment"], ["critique"], ["response", "kind"], ["chosen", "rejected"]],
)
def test_columns_that_are_not_understood_are_listed_with_those_that_are(columns: list[str]):
    with pytest.raises(DataError) as error:
        read_feedback([dict.fromkeys(columns, "x")])
    assert f"The columns ({', '.join(columns)}) are no feedback" in str(error.value)
    assert "response with rating and comment" in str(error.value)


def test_a_column_of_inputs_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no column 'item' for an input; the columns are: response, critique"):
        read_feedback([{"response": "A.", "critique": "x"}], inputs=["item"])


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("said.csv", b"response,critique\nA.,x,y\n", DataError, "line 2 has more cells than the header"),
        ("said.csv", b'response,critique\n"A.,x\n', ArtifactError, "cannot be read as a .csv"),
        ("said.csv", b"response\n\xff\n", ArtifactError, "not UTF-8"),
        ("said.jsonl", b'{"response": "A.", "critique": "x"}\n{"respo\n', ArtifactError, "line 2 is not JSON"),
        ("said.jsonl", b"[1]\n", ArtifactError, "line 1 is no row"),
        ("said.xlsx", b"", DataError, "must end in .csv or .jsonl"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, name: str, content: bytes, error: type[Exception], words: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        read_feedback(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"none\.csv cannot be read"):
        read_feedback(tmp_path / "none.csv")


# -- LangSmith -------------------------------------------------------------------------------------------------


def uuid(name: str) -> UUID:
    return uuid5(UUID(int=0), name)


def run(name: str = "run", outputs: Any = None, inputs: Any = None) -> schemas.Run:
    return schemas.Run(
        id=uuid(name),
        name="answer",
        start_time=NOW,
        run_type="chain",
        inputs=inputs or {"item": "scissors"},
        outputs={"output": "Cut paper."} if outputs is None else outputs,
        trace_id=uuid(name),
    )


def feedback(name: str = "f", about: str | None = "run", **fields: Any) -> schemas.Feedback:
    return schemas.Feedback(
        id=uuid(name),
        created_at=NOW,
        modified_at=NOW,
        run_id=uuid(about) if about else None,
        trace_id=None,
        key="user_score",
        **fields,
    )


def test_langsmiths_objects_and_their_json_are_read_alike():
    runs, given = [run()], [feedback(score=0, comment="Too short")]
    record = FeedbackRecord.model_validate(
        {
            "id": str(uuid("f")),
            "inputs": {"item": "scissors"},
            "response": "Cut paper.",
            "feedback": {"kind": "critique", "text": "Too short"},
        }
    )
    assert from_langsmith(runs, given) == [record]
    assert from_langsmith((r.model_dump(mode="json") for r in runs), iter(f.model_dump() for f in given)) == [record]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"score": 1}, "kudos"),
        ({"score": 0.5}, "kudos"),
        ({"score": True}, "kudos"),
        ({"value": "👍"}, "kudos"),
        ({"score": 0.49}, "critique"),
        ({"score": False}, "critique"),
        ({"score": -1}, "critique"),
        ({"value": "bad"}, "critique"),
        ({"value": "category 3"}, "critique"),
        ({}, "critique"),
    ],
)
def test_a_comment_is_praise_or_a_critique_by_its_score(fields: dict[str, Any], kind: str):
    assert said(from_langsmith([run()], [feedback(comment="So it is.", **fields)])) == [(kind, "So it is.")]


@pytest.mark.parametrize(
    "correction", ["Cut hair.", {"output": "Cut hair."}, {"text": "Cut hair."}, {"better": "Cut hair."}]
)
def test_a_correction_in_words_is_a_rewrite(correction: Any):
    assert said(from_langsmith([run()], [feedback(correction=correction)])) == [("rewrite", "Cut hair.")]


def test_a_comment_and_a_correction_are_two_records():
    records = from_langsmith([run()], [feedback(comment="dull", correction="Cut hair.")])
    assert said(records) == [("critique", "dull"), ("rewrite", "Cut hair.")]
    assert [r.id for r in records] == [f"{uuid('f')}.critique", f"{uuid('f')}.rewrite"]


def test_feedback_without_words_is_left_out_and_said_once():
    given = [feedback("a", score=1), feedback("b", correction={"score": 0}), feedback("c", comment="dull")]
    with pytest.warns(DataWarning, match="3 pieces of feedback have") as found:
        assert len(from_langsmith([run()], [*given, feedback("d", about=None, score=1)])) == 1
    assert len(found) == 1


@pytest.mark.parametrize(
    "outputs",
    [
        {"output": "Cut paper."},
        {"answer": "Cut paper.", "sources": ["a", "b"]},
        {"anything": " Cut paper. "},
        {"output": {"type": "ai", "content": "Cut paper."}},
        {"output": {"content": [{"type": "text", "text": "Cut "}, {"type": "text", "text": "paper."}]}},
        {"messages": [HumanMessage("Uses?"), AIMessage("Cut paper.")]},
        {"messages": [{"type": "human", "content": "Uses?"}, {"type": "ai", "content": "Cut paper."}]},
        {"generations": [[{"text": "Cut paper.", "type": "ChatGeneration"}]], "llm_output": {"model": "m"}},
        {"generations": [[{"text": "", "message": {"lc": 1, "id": ["x"], "kwargs": {"content": "Cut paper."}}}]]},
        {"choices": [{"message": {"role": "assistant", "content": "Cut paper."}, "finish_reason": "stop"}]},
    ],
)
def test_the_response_is_found_in_what_runs_put_out(outputs: Any):
    assert from_langsmith([run(outputs=outputs)], [feedback(comment="dull")])[0].response == "Cut paper."


def test_feedback_about_a_run_that_is_not_there_names_it():
    with pytest.raises(DataError, match=f"about the run {uuid('other')}, which is not among the runs"):
        from_langsmith([run()], [feedback(about="other", score=1)])


def test_words_about_no_run_are_refused():
    with pytest.raises(DataError, match="is about no run"):
        from_langsmith([run()], [feedback(about=None, comment="dull")])


@pytest.mark.parametrize("outputs", [{}, {"output": " "}, {"a": 1, "b": 2}, {"a": "one", "b": "two"}])
def test_words_about_a_run_without_a_response_are_refused(outputs: Any):
    with pytest.raises(DataError, match=f"The run {uuid('run')} has no response in its outputs"):
        from_langsmith([run(outputs=outputs)], [feedback(comment="dull")])


def test_a_score_on_another_scale_is_refused():
    with pytest.raises(DataError, match="has the score 4; scale the scores"):
        from_langsmith([run()], [feedback(score=4, comment="nice")])
