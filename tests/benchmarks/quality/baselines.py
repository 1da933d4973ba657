"""What needs no model: the commonest label, and a logistic regression on words."""

from collections import Counter

from tests.benchmarks.peers.jobs import Job, Result, answer


def majority(job: Job) -> Result:
    """Give every row the commonest training label."""
    commonest = Counter(row["label"] for row in job["train"]).most_common(1)[0][0]
    return {"predictions": [commonest] * len(job["test"]), "made": commonest}


def words(job: Job) -> Result:
    """Fit TF-IDF of one and two words with logistic regression, by defaults, on all labeled rows there are."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = [*job["train"], *job["validation"]]
    fitted = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1_000))
    fitted.fit([row["text"] for row in rows], [row["label"] for row in rows])
    return {"predictions": fitted.predict(job["test"]).tolist(), "made": f"learned from {len(rows)} rows"}


if __name__ == "__main__":
    answer(lambda job: {"majority": majority, "words": words}[job["way"]](job))
