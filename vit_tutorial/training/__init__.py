"""Training: a loop, its settings, what it wrote down, and a look at the result.

loop          fit: show the model pictures, measure how wrong it is, move every weight a little
config        TrainingConfig: every setting of a run
history       History: what a run wrote down
evaluation    predict and evaluate: what a model says, and how often it is right
checkpoint    what a run resumes from
record        what stays of a run: weights along the way, and a record of what came out
stopping      the stop button: save first
augmentation  each time a picture is met it is a slightly different one
fine_tuning   frozen parts, layer-wise learning rates, a new head, and what stays of the first training
lora          a small product of two matrices is learned, and the large one stays
optimizers    AdamW, Muon, and a moving average of the weights
loss_scale    what float16 needs, so that small gradients do not become 0
memory        gradient checkpointing: less memory for more time
distributed   several processes that train one model
devices       where it runs, in which number format, and how fast
"""

from vit_tutorial.training.checkpoint import TrainingError
from vit_tutorial.training.config import TrainingConfig
from vit_tutorial.training.evaluation import Evaluation, evaluate, predict
from vit_tutorial.training.fine_tuning import reset_head
from vit_tutorial.training.history import History
from vit_tutorial.training.loop import TrainingWarning, fit, learning_rate_at, predict_seconds, split_validation
from vit_tutorial.training.lora import add_lora, merge_lora

__all__ = [
    "Evaluation",
    "History",
    "TrainingConfig",
    "TrainingError",
    "TrainingWarning",
    "add_lora",
    "evaluate",
    "fit",
    "learning_rate_at",
    "merge_lora",
    "predict",
    "predict_seconds",
    "reset_head",
    "split_validation",
]
