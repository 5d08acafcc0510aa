"""Whether anybody is watching."""

import sys

from vit_tutorial.support import terminal


def test_a_kernel_is_watched_only_behind_a_front_end(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert not terminal.somebody_is_watching()
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/11_train_on_a_gpu.ipynb")
    assert terminal.somebody_is_watching()
