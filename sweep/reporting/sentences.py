"""The finding of each part of the page in a sentence: findings → words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.definitions import is_share
from sweep.records import StudyState
from sweep.reporting.diagnostics import Verdict
from sweep.words import (
    counted,
    difference_interval_words,
    difference_words,
    fraction_words,
    metric_words,
    percent,
    percent_interval,
    short_value_words,
    tie_words,
)

if TYPE_CHECKING:  # the terminal has use for these sentences, too, and none for pandas
    from sweep.reporting.answer import Promise
    from sweep.reporting.candidates import BaselineMean
    from sweep.reporting.comparison import StudyComparison, StudyPair
    from sweep.reporting.findings import Findings

__all__ = [
    "NextStep",
    "baseline_verdict",
    "beaten_sentences",
    "best_study",
    "calibration_sentence",
    "comparison_sentence",
    "confirmation_sentence",
    "diagnoses_sentence",
    "effect_words",
    "hyperparameters_sentence",
    "leaderboard_sentence",
    "mistakes_sentence",
    "names_of",
    "next_step",
    "opening_notes",
    "openings_sentence",
    "promise_verdict",
    "saving_sentence",
    "search_sentence",
    "size_sentence",
    "under_way_sentence",
]


def under_way_sentence(found: Findings) -> str:
    """What is known of a search that is not finished; empty for one that is."""
    record = found.study.record
    if record.finished_by is not None:
        return ""
    total = f" of {record.num_trials:,}" if record.num_trials else ""
    last = max((t.ended_at for t in record.trials if t.ended_at is not None), default=None)
    at = "" if last is None else f", the last one at {last:%Y-%m-%d %H:%M} by its clock"
    doing = "is running" if record.state is StudyState.RUNNING else "was interrupted"
    split = "was opened before it went on" if found.openings else "is sealed"
    return (
        f"This search {doing}: {record.num_ended:,}{total} trials have ended{at}. What follows is "
        f"what is known so far, and the test split {split}."
    )


def opening_notes(found: Findings) -> list[str]:
    """What the openings of the test split may have done to what was decided after them."""
    notes, openings = [], found.openings
    is_confirmed = found.answer is not None and found.answer.confirmed
    if len({each.study for each in openings}) > 1 or (len(openings) > 1 and not is_confirmed):
        notes.append(
            f"The test split was opened {len(openings)} times (see Provenance). After the first "
            "opening a test result may have influenced what was done next, so later ones are no "
            "longer untouched."
        )
    if found.trials_after_opening:
        notes.append(
            f"{counted(found.trials_after_opening, 'trial')} ended after the test split had been "
            "opened: its result may have influenced the decision to run them."
        )
    return notes


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next; the command may be empty."""

    words: str
    command: str = ""


def next_step(found: Findings) -> NextStep:
    """The most useful thing to do with a study."""
    commands, confirmation = found.commands, found.study.confirmation
    if found.study.record.finished_by is None:
        return NextStep("finish the search:", commands["resume"])
    if confirmation is None:
        return NextStep("train the best trials again on fresh seeds:", commands["confirm"])
    if confirmation.failed:
        return NextStep("see why all runs on fresh seeds failed:", commands["show_runs"])
    if not confirmation.finished:
        return NextStep("finish the confirmation:", commands["confirm"])
    warnings = [each for each in found.diagnoses if each.verdict is Verdict.WARNING]
    if warnings:
        return NextStep(f"{warnings[0].remedy}. Or take the network home:", commands["export"])
    return NextStep("take the network home:", commands["export"])


def beaten_sentences(found: Findings) -> list[str]:
    """What the answer is better than, with how much."""
    answer, confirmation = found.answer, found.study.confirmation
    said: list[str] = []
    if confirmation is not None and found.study.is_confirmed:
        said += [
            f"{baseline_verdict(confirmation.metric, 'It', each)} on fresh seeds."
            for each in confirmation.baselines
        ]
    lowest = answer.baseline if answer is not None else None
    if answer is not None and lowest is not None and lowest.test_value is not None:
        verb = "gets" if lowest.metric == "accuracy" else f"has a {metric_words(lowest.metric)} of"
        not_shown = (
            ": the network to use is not shown to be better"
            if answer.is_above_baseline is False
            else ""
        )
        name, value = lowest.class_name, percent(lowest.test_value)
        said.append(f"Always saying “{name}” {verb} {value}{not_shown}.")
        if answer.class_averages:
            averages = [
                f"its {metric_words(each.metric)} is {percent(each.value)}"
                + (f" ({percent_interval(each.interval)})" if each.interval else "")
                for each in answer.class_averages
            ]
            said.append(f"With all classes counted alike, {_listed(averages)}.")
    return said


def baseline_verdict(metric: str, who: str, baseline: BaselineMean) -> str:
    """What the search was worth: `who`, its winner on fresh seeds, against what took none."""
    name, difference = baseline.name, baseline.difference
    if difference is None:
        return f"{who} was not tested against {name}"
    by = difference_words(
        metric, difference, baseline.difference_interval, baseline.difference_level
    )
    if baseline.tied:
        is_behind = difference != 0 and (difference < 0) == is_share(metric)
        whose = ", whose mean is better" if is_behind else ""
        return f"{who} is not shown to be better than {name}{whose}: {by}"
    return f"{who} {f'beats {name} by' if baseline.beaten else f'is worse than {name}:'} {by}"


# ---------------------------------------------------------------- several studies


def names_of(comparison: StudyComparison) -> str:
    """The studies' names in a row."""
    return _listed([study.name for study in comparison.studies])


def _best_first(comparison: StudyComparison) -> list[int]:
    """Places of the studies whose test result is known, the best first."""
    sign = 1 if comparison.metric == "validation_loss" else -1
    values = {
        place: sign * study.test.value
        for place, study in enumerate(comparison.studies)
        if study.test is not None
    }
    return sorted(values, key=values.__getitem__)


def best_study(comparison: StudyComparison) -> int | None:
    """The place of the study with the best test result; None where they cannot be compared."""
    places = _best_first(comparison)
    return places[0] if places and comparison.metric is not None and comparison.pairs else None


def saving_sentence(comparison: StudyComparison) -> str:
    """Which study reached the best value that more than one reached with the fewest epochs."""
    for index in reversed(range(len(comparison.values))):
        spent = {
            study.name: epochs
            for study in comparison.studies
            if (epochs := study.epochs_to_reach[index]) is not None
        }
        if len(spent) > 1 and comparison.metric is not None:
            value = short_value_words(comparison.metric, comparison.values[index])
            least = min(spent.values())
            first = [name for name, epochs in spent.items() if epochs == least]
            said = [f"{_listed(first)} reached {value} after {least:,} epochs"]
            said += [f"{name} after {epochs:,}" for name, epochs in spent.items() if epochs > least]
            return (
                f"{'; '.join(said)}. One search each is no proof of a difference between samplers."
            )
    return "No value that is worth a comparison was reached by more than one study."


def comparison_sentence(comparison: StudyComparison) -> str:
    """Which studies are the best, and what they beat."""
    tested = [comparison.studies[place] for place in _best_first(comparison)]
    if comparison.metric is None or len(tested) < 2 or not comparison.pairs:
        return "They cannot be compared: see below."
    names = [study.name for study in tested]
    verdicts = {frozenset((p.first, p.second)): is_tied(p) for p in comparison.pairs}
    first, *others = names
    against = {name: verdicts.get(frozenset((first, name))) for name in others}
    tied = [name for name in others if against[name]]
    beaten = [name for name in others if against[name] is False]
    unknown = [name for name in others if against[name] is None]
    said = []
    if tied:
        said.append(f"{_listed([first, *tied])} cannot be told apart")
    if beaten:
        is_shared = all(
            verdicts.get(frozenset((one, other))) is False for one in tied for other in beaten
        )
        who = first if not tied else {1: "both"}.get(len(tied), "all of them")
        verb = "beats" if not tied else "beat"
        if tied and not is_shared:
            who, verb = first, "beats"
        said.append(f"{who} {verb} {_listed(beaten)}")
    if unknown:
        said.append(f"whether {first} differs from {_listed(unknown)} is not known")
    return f"{'; '.join(said)}."


def is_tied(pair: StudyPair) -> bool | None:
    """Over seeds if both studies were confirmed, otherwise of their networks."""
    return pair.networks_tied if pair.means_tied is None else pair.means_tied


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# ---------------------------------------------------------------- parts of one study


def diagnoses_sentence(found: Findings) -> str:
    """How many checks warn."""
    verdicts = [diagnosis.verdict for diagnosis in found.diagnoses]
    warned, fine = verdicts.count(Verdict.WARNING), verdicts.count(Verdict.FINE)
    rest = f"{fine} found nothing, {verdicts.count(Verdict.NOT_APPLICABLE)} had too little to judge"
    warnings = f"{counted(warned, 'warning')}" if warned else "No warning"
    return f"{warnings} from {len(verdicts)} checks; {rest}."


def confirmation_sentence(found: Findings) -> str:
    """Whether the search's best stayed the best."""
    confirmation = found.study.confirmation
    if confirmation is None:
        return "One run on one seed chose the configuration: nothing confirms it yet."
    if confirmation.failed:
        return "All runs on fresh seeds failed: nothing confirms the best of the search."
    if not confirmation.finished:
        return "The confirmation is not finished."
    candidates, seeds = confirmation.candidates, counted(confirmation.num_seeds, "fresh seed")
    searched = next(row for row in candidates if row.search_rank == 1)
    origin = confirmation.chosen_from.replace("'", "’")
    if len(candidates) == 1:
        return f"Trained again on {seeds}; no other configuration was."
    if confirmation.survived:
        said = f"The best of {origin} also has the best mean of {len(candidates)} on {seeds}"
        if confirmation.num_seeds == 1:
            said += ", which proves little"
    elif searched.num_failed > candidates[0].num_failed:
        said = (
            f"Trial {searched.trial}, the best of {origin}, did not survive: on {seeds} "
            f"{searched.num_failed} of its {counted(confirmation.num_seeds, 'run')} failed"
        )
    else:
        how = {
            False: "is better",
            True: "has the best mean, but the two cannot be told apart",
            None: "has the best mean; whether they differ is not tested",
        }
        said = (
            f"Trial {searched.trial} was the best of {origin}; on {seeds} trial "
            f"{confirmation.winner} {how[searched.tied]}"
        )
    tied = sum(row.tied is True for row in candidates)
    if tied and (confirmation.survived or len(candidates) > 2):
        ties = tie_words(tied, len(candidates) - 1, "configuration")
        said += f"; {ties} be told apart from the winner"
    return f"{said}."


def promise_verdict(promise: Promise) -> str:
    """What an interval of optimism says."""
    interval = promise.interval
    if interval is None:
        return "not tested"
    if interval.low > 0:
        return "too good"
    return "too bad" if interval.high < 0 else "includes zero: none is shown"


def leaderboard_sentence(found: Findings) -> str:
    """How many trials tie with the best, and which of them is the cheapest."""
    ties, metric = found.ties, metric_words(found.study.record.objective.metric)
    if not ties.compared:
        count = found.counts.complete
        return f"{counted(count, 'complete trial')}; nothing was compared."
    words = tie_words(ties.tied, ties.compared, "complete trial")
    said = f"{words[:1].upper()}{words[1:]} be told apart from the best by {metric}"
    if ties.cheapest is not None and ties.tied:
        said += (
            f"; the cheapest of them, trial {ties.cheapest.number}, has "
            f"{fraction_words(ties.cheapest.num_parameters or 1, ties.best_parameters)} of its "
            "parameters"
        )
    return f"{said}."


def size_sentence(found: Findings) -> str:
    """Whether a smaller network would do."""
    front = found.front
    if front is None:
        return ""
    best = f"the {'winner' if front.on_fresh_seeds else 'best'}, trial {front.best.number}"
    if front.tied:
        small = front.tied.trial
        share = fraction_words(small.num_parameters or 1, front.best.num_parameters or 1)
        return (
            f"Trial {small.number} has {share} of the parameters of {best}, and the data cannot "
            "tell them apart. That does not make them equal."
        )
    if not front.num_smaller:
        return f"There is nothing to weigh: no trial of the front is smaller than {best}."
    if front.num_worse == front.num_smaller:
        return f"Each smaller trial of the front differs from {best}, by more than chance."
    return f"Whether a smaller trial differs from {best}, by more than chance is not known."


def hyperparameters_sentence(found: Findings) -> str:
    """What mattered, and in which direction."""
    importances = found.importances
    if not importances.shares:
        return importances.note
    said = []
    for name, share in list(importances.shares.items())[:3]:
        interval = (importances.intervals or {}).get(name)
        words = f"{name} {percent(share, 0)}"
        if interval is not None:
            words += f" ({percent_interval(interval, 0)})"
        effect = importances.effects.get(name)
        if effect is not None and effect.best:
            words += f", {effect_words(effect.best)}"
        said.append(words)
    end = "" if importances.first_is_ahead else "; which of them mattered most is not known"
    return f"What mattered: {'; '.join(said)}{end}."


def effect_words(best: str) -> str:
    """`higher was better`; empty if the trials do not say."""
    if not best:
        return ""
    return "values in between were better" if best == "middle" else f"{best} was better"


def search_sentence(found: Findings) -> str:
    """What the search cost, when its best came, and what pruning saved."""
    record, counts, pruning = found.study.record, found.counts, found.pruning
    said = f"{counted(counts.epochs, 'epoch')} in {counted(counts.trials, 'trial')}"
    if record.best is not None and counts.trials > 1:
        spent = sum(t.epochs_run for t in record.trials if t.number <= record.best.number)
        said += f"; the best came after {spent:,} of them"
    if pruning.trials:
        total = max(pruning.epochs_saved + counts.epochs, 1)
        said += (
            f"; pruning ended {pruning.trials:,} trials and saved "
            f"{percent(pruning.epochs_saved / total, 0)} of the epochs"
        )
    if counts.failed:
        said += f"; {counted(counts.failed, 'trial')} failed"
    return f"{said}."


def mistakes_sentence(found: Findings) -> str:
    """How much is wrong, and what is confused most."""
    answer = found.answer
    if answer is None or answer.test_errors is None:
        return "The test split was not read."
    said = f"{answer.test_errors:,} of {answer.num_test_images:,} test examples are wrong"
    confusions = found.confusions
    if confusions and (len(confusions) == 1 or confusions[0].count > confusions[1].count):
        most = confusions[0]
        said += f", most often {most.true} mistaken for {most.predicted} ({most.count:,})"
    if found.calibration is not None:
        said += f"; {calibration_sentence(found)}"
    return f"{said}."


def calibration_sentence(found: Findings) -> str:
    """Whether the network is as sure as it is right."""
    calibration = found.calibration
    if calibration is None:
        return ""
    low, high = calibration.bias_interval
    if low > 0:
        return f"it is overconfident by {difference_words('test_accuracy', calibration.bias)[1:]}"
    if high < 0:
        return f"it is underconfident by {difference_words('test_accuracy', calibration.bias)[1:]}"
    ends = difference_interval_words("test_accuracy", (low, high))
    return f"it is about as sure as it is right (confidence minus accuracy {ends} points)"


def openings_sentence(found: Findings) -> str:
    """How often the test split was opened."""
    count = len({opening.opened_at for opening in found.openings})
    if not count:
        return "The test split is sealed. Everything that made the study is listed here."
    times = "once" if count == 1 else f"{count} times"
    return f"The test split was opened {times}. Everything that made the study is listed here."
