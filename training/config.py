"""How to train, as data."""

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError


@dataclass(frozen=True)
class TrainConfig:
    """How long to train, with what, and what to keep on the way."""

    steps: int | None = None
    """Length of the training in optimizer steps; give this, --train.epochs or --train.minutes."""
    epochs: float | None = None
    """Length of the training in passes over the training text."""
    minutes: float | None = None
    """Length of the training on the clock, compilation included; the schedule fits itself to it."""
    batch_size: int = 12
    """Windows of a text, or examples, from which one step learns, B."""
    accumulate: int = 1
    """Parts of a batch that are learnt from one after the other, where memory is short; of tasks
    with examples, each part has examples of about one length, and all parts count alike, so that a
    token in a part of short ones weighs more."""
    optimizer: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), Adam (Kingma & Ba 2015), SGD with momentum, or Muon (Jordan
    et al. 2024) with Adam for embeddings, norms and biases."""
    learning_rate: float = 1e-3
    """Highest learning rate, after the warm-up."""
    schedule: Literal["cosine", "inverse-root", "step"] = "cosine"
    """How the learning rate falls: after a warm-up on half a cosine wave or with the root of the
    step (Vaswani et al. 2017), or in steps from epoch to epoch."""
    final_learning_rate: float = 0.1
    """With cosine: what the learning rate falls to, as a share of the highest."""
    constant_epochs: int = 4
    """With step: epochs at the highest learning rate."""
    decay: float = 0.5
    """With step: what the learning rate is multiplied by at the start of each epoch after those."""
    adam_learning_rate: float = 0.2
    """With Muon: the learning rate of the Adam part, as a share of Muon's."""
    warmup: float = 0.05
    """With cosine and inverse-root: share of the training in which the learning rate rises from
    zero."""
    momentum: float = 0.95
    """Momentum of SGD and Muon."""
    beta_1: float = 0.9
    """Adam's decay of the gradient average."""
    beta_2: float = 0.99
    """Adam's decay of the squared gradient average."""
    weight_decay: float = 0.1
    """Decoupled weight decay: with AdamW of matrices and embeddings, with Muon of its matrices."""
    ema_momentum: float = 0.0
    """What a running average of the weights keeps of itself in a step, such as 0.998: the average,
    which wavers less than the weights, is validated and becomes the model (after Polyak & Juditsky
    1992). It reaches back over 1 / (1 - that) steps, and lags behind in a training of only a few
    times as many; 0: none."""
    clip_norm: float = 1.0
    """Longest that all gradients together may be; longer ones are shortened; 0: any length."""
    carry_state: bool = False
    """Whether windows follow one another in the text and a recurrent model goes on from the state
    in which the last one ended; otherwise they come in random order, each from a zero state."""
    patience: int = 0
    """Validations in a row without a better loss, or a better score of a task that is judged by
    one, after which the training stops; 0: it goes on to its end. The schedule does not know of it
    and is cut off."""
    frozen: int = 0
    """With a pretrained model: how many of its parts stay as they are, from the bottom: 1 the
    embeddings, 2 the first block too, and so on; -1: all, so that only the head learns."""
    layer_decay: float = 1.0
    """With a pretrained model: what the learning rate is multiplied by from one part to the part
    below it, above 0 and at most 1; the head has the whole (Howard & Ruder 2018, section 3.2)."""
    lora_rank: int = 0
    """With a pretrained model: rank of the matrices that its linear layers learn instead of their
    own, which stay as they are, like all else but the head (LoRA, Hu et al. 2022); 0: none."""
    label_smoothing: float = 0.0
    """Share of each target spread over all tokens, or classes (Szegedy et al. 2016)."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """What the model computes in; weights stay float32. float16 scales the loss."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the training step; auto: where it was measured to be faster. On JAX it
    always does."""
    validate_every: int = 250
    """Steps from one validation, with its checkpoint, to the next."""
    validation_tokens: int = 20_000
    """About how many tokens a validation in training looks at: the first of a text, or of examples
    from everywhere in the file."""
    report_tokens: int = 1_000_000
    """About how many tokens the validation after the training looks at."""
    seed: int = 0
    """Decides initial weights, dropout and the order of the data."""

    def __post_init__(self):
        lengths = {"steps": self.steps, "epochs": self.epochs, "minutes": self.minutes}
        given = [name for name, value in lengths.items() if value is not None]
        if len(given) != 1:
            raise InputError(
                f"the length of the training is given {len(given)} times"
                f"{' (' + ', '.join(f'--train.{name}' for name in given) + ')' if given else ''}; "
                "give one of --train.steps, --train.epochs and --train.minutes."
            )
        positive = ("batch_size", "accumulate", "learning_rate", "constant_epochs", "decay")
        for name in (given[0], *positive, "validate_every"):
            if not getattr(self, name) > 0:
                self._refuse(name, "above 0")
            if math.isinf(getattr(self, name)):
                self._refuse(name, "finite")
        for name in ("validation_tokens", "report_tokens"):
            if getattr(self, name) < 2:  # the first token of a text is not predicted
                self._refuse(name, "at least 2")
        at_least_zero = ("weight_decay", "clip_norm", "adam_learning_rate", "seed")
        for name in (*at_least_zero, "patience", "lora_rank"):
            if not getattr(self, name) >= 0:
                self._refuse(name, "0 or above")
            if math.isinf(getattr(self, name)):
                self._refuse(name, "finite")
        if self.seed >= 1 << 32:
            self._refuse("seed", "below 4,294,967,296")
        if self.frozen < -1:
            self._refuse("frozen", "-1, 0 or above")
        if not 0 < self.layer_decay <= 1:
            self._refuse("layer_decay", "above 0 and at most 1")
        for name in ("final_learning_rate", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                self._refuse(name, "from 0 to 1")
        for name in ("momentum", "ema_momentum", "beta_1", "beta_2", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                self._refuse(name, "from 0 to below 1")
        if self.batch_size % self.accumulate:
            raise InputError(
                f"--train.accumulate {self.accumulate} does not divide --train.batch-size "
                f"{self.batch_size}; choose a number that does."
            )
        if self.schedule == "step" and self.minutes is not None:
            raise InputError(
                "--train.schedule step counts epochs, of which --train.minutes knows nothing; give "
                "--train.epochs or --train.steps instead, or --train.schedule cosine."
            )
        if self.carry_state and self.accumulate > 1:
            raise InputError(
                f"--train.carry-state reads a batch in one piece, so --train.accumulate "
                f"{self.accumulate} cannot cut it; leave one of them out."
            )

        if self.lora_rank and self.frozen:
            raise InputError(
                f"--train.lora-rank {self.lora_rank} already keeps all of the pretrained model as "
                "it is, so --train.frozen adds nothing; leave one of them out."
            )

    def _refuse(self, name: str, allowed: str) -> None:
        option = f"--train.{name.replace('_', '-')}"
        raise InputError(f"{option} is {getattr(self, name)}; it must be {allowed}.")

    @property
    def policy(self) -> str:
        """The name of the Keras dtype policy."""
        return "float32" if self.precision == "float32" else f"mixed_{self.precision}"
