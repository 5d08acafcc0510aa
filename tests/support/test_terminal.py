"""Whether anybody is watching."""

import sys

from vit_tutorial.support import terminal


def test_a_kernel_is_watched_unless_it_only_executes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("VIT_TUTORIAL_UNWATCHED", raising=False)
    assert terminal.somebody_is_watching()
    monkeypatch.setenv("VIT_TUTORIAL_UNWATCHED", "1")
    assert not terminal.somebody_is_watching()
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/11_train_on_a_gpu.ipynb")
    assert terminal.somebody_is_watching()
