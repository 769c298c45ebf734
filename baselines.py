"""What a run can be compared with: which other run, on which data, by which scores."""

from dataclasses import replace

from . import runs
from .data import datasets
from .data.datasets import DataConfig
from .data.records import ANSWERED_IN_WORDS, Kind
from .data.tokenizers import LOSSY
from .errors import InputError
from .files import expanded
from .metrics.report import Report
from .recipe import name_of
from .tasks.configs import ContinuationConfig, LanguageModelingConfig, MaskedLanguageModelingConfig

_OF_ANY_TOKENS = "bits/byte"
_PREDICT_A_TEXT = {LanguageModelingConfig, ContinuationConfig}


def check(baseline: runs.Run, run: runs.Run) -> None:
    """Refuse a baseline that a run cannot be compared with.

    Raises:
        InputError: saying why.
    """
    pair = [type(each.recipe.task) for each in (baseline, run)]
    between = f"--baseline {baseline.folder} and {run.folder}"
    if pair[0] is not pair[1] and not set(pair) <= _PREDICT_A_TEXT:
        raise InputError(
            f"--baseline {baseline.folder} is a run of {name_of(baseline.recipe.task)}, and "
            f"{run.folder} of {name_of(run.recipe.task)}; compare runs of one task."
        )
    if pair[0] is MaskedLanguageModelingConfig and not _hide_alike(baseline, run):
        raise InputError(
            f"{between} have other tokens hidden from them; compare runs with one tokenizer, one "
            "--model.context-length and one --task."
        )
    is_lossy = any(each.tokenizer.kind in LOSSY for each in (baseline, run))
    if set(pair) <= _PREDICT_A_TEXT and is_lossy and not _have_one_tokenizer(baseline, run):
        raise InputError(
            f"{between} have other tokens, and bits per byte, which compare any, are not defined "
            "for wordpiece; compare runs with one tokenizer."
        )


def data_for(baseline: runs.Run, run: runs.Run, data: DataConfig, is_own: bool) -> DataConfig:
    """Return the data of a run's scores as the baseline reads them.

    Args:
        baseline: the run to compare with.
        run: the run that was scored.
        data: what it was scored on.
        is_own: whether that is a file of one's own for all runs.

    Raises:
        InputError: if the baseline has other answers to give, or has learnt from these.
    """
    own, reads = baseline.recipe.data, baseline.recipe.task.reads
    if has_learnt_from(own, data, reads) and not has_learnt_from(run.recipe.data, data, reads):
        raise InputError(
            f"--baseline {baseline.folder} has learnt from what {run.folder} is scored on, "
            f"{data.validation or data.text}; compare runs with one --data.validation and one "
            "--data.cleaning, or score both on another file with --text."
        )
    if reads == "text":
        return data
    cleaning = datasets.cleaning_steps(own) if is_own else own.cleaning
    if reads not in ANSWERED_IN_WORDS:
        data = replace(data, cleaning=cleaning)  # each reads as it has learnt to
    elif (cleaning, own.swap) != (data.cleaning, data.swap):
        raise InputError(
            f"--baseline {baseline.folder} has learnt from texts that were cleaned or swapped in "
            f"another way than those of {run.folder}; compare runs whose answers are alike."
        )
    fold, own_fold = data.fold or 0, own.fold or 0  # without one, the first
    if data.text is own.text is None and data.name == own.name and fold != own_fold:
        raise InputError(
            f"--baseline {baseline.folder} has learnt from what {run.folder} is tested on, as its "
            f"fold is {own_fold}, not {fold}; compare runs of one fold."
        )
    return data


def has_learnt_from(own: DataConfig, data: DataConfig, reads: Kind) -> bool:
    """Whether a run on its own data has learnt from what some data hold out.

    That is the whole file or folder for validation; without one, the tenth that every run on it
    holds out, of a text the last one that cleaning leaves. Copies of a file are not found out.

    Args:
        own: what the run has learnt from.
        data: what is scored.
        reads: the kind of both.
    """
    scored = data.validation or data.text
    if None in (scored, own.text):
        return False
    paths = [expanded(path).resolve() for path in (scored, own.text)]
    if data.validation is own.validation is None:
        return reads == "text" and paths[0] == paths[1] and data.cleaning != own.cleaning
    return paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0])


def comparable(report: Report, baseline: runs.Run, run: runs.Run) -> Report:
    """Return the baseline's scores that compare with a run's: bits per byte for other tokens."""
    is_text = type(run.recipe.task) in _PREDICT_A_TEXT
    if not is_text or _have_one_tokenizer(baseline, run):
        return report
    return replace(report, scores={_OF_ANY_TOKENS: report.scores[_OF_ANY_TOKENS]})


def _have_one_tokenizer(*pair: runs.Run) -> bool:
    return len({each.tokenizer.fingerprint() for each in pair}) == 1


def _hide_alike(*pair: runs.Run) -> bool:
    """Whether the same tokens of a text are hidden from both."""
    settings = [(each.recipe.task, each.recipe.model.context_length) for each in pair]
    return settings[0] == settings[1] and _have_one_tokenizer(*pair)
