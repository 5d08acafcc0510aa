"""Checks in a real kernel: a hang is stopped, the stop button works, and what is printed stays with its cell."""

import os
import re
import time

import pytest
from jupyter_client.manager import KernelManager

from vit_tutorial.exercises.store import passed_so_far

pytestmark = pytest.mark.slow

RIGHT = "lambda image_size, patch_size: (image_size // patch_size) ** 2"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory, through_files):
    """`run(code, tags)` runs a cell and returns (its printed text, its result or error as text)."""
    path = tmp_path_factory.mktemp("learner") / "progress.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "VIT_TUTORIAL_PROGRESS": str(path)}
    manager = KernelManager(kernel_name="python3", **through_files())
    manager.start_kernel(env=environment)
    client = manager.blocking_client()
    client.start_channels()

    def run(code, tags=(), interrupt_after=None):
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = client.session.msg("execute_request", content, metadata={"cellId": "a", "tags": list(tags)})
        client.shell_channel.send(message)
        if interrupt_after:
            time.sleep(interrupt_after)
            manager.interrupt_kernel()
        printed, result = [], []
        while True:
            said = client.get_iopub_msg(timeout=60)
            if said["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, body = said["msg_type"], said["content"]
            if kind == "stream":
                printed.append(body["text"])
            elif kind == "execute_result":
                result.append(body["data"])
            elif kind == "error":
                result.append({"text/plain": body["ename"]})
            elif kind == "status" and body["execution_state"] == "idle":
                return "".join(printed), result[-1] if result else {}

    run.path = path
    try:
        client.wait_for_ready(timeout=60)
        run(
            "import signal, threading, time\nfrom vit_tutorial.exercises import check, engine\n"
            "engine.SECONDS, engine.WAIT = 0.3, 1"
        )
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_right_answer_is_shown_in_words_and_in_html_and_kept(kernel, monkeypatch):
    printed, result = kernel(f"check.count_tokens({RIGHT})", tags=["solution"])
    assert result["text/plain"].startswith("✓ count_tokens: right on all 5 inputs")
    assert not kernel.path.exists()  # running the solution's own cell is no progress
    kernel(f"solution = {RIGHT}\ncheck.count_tokens(solution)", tags=["solution"])
    assert kernel("if check.count_tokens(solution).passed:\n    print('used')") == ("used\n", {})
    assert not kernel.path.exists()  # and no cell below that uses it
    assert kernel(f"check.count_tokens({RIGHT})", tags=["exercise"]) == (printed, result)
    assert "✓ count_tokens: right on all 5 inputs" in result["text/html"]
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(kernel.path))
    assert passed_so_far() == ({"count_tokens"}, "")


@pytest.mark.parametrize("body", ["while True: pass", "time.sleep(60)"])
def test_a_hang_is_stopped_with_its_line_and_the_kernel_goes_on(kernel, body):
    code = f"def answer(image_size, patch_size):\n    print('tried')\n    {body}\n\ncheck.count_tokens(answer)"
    printed, result = kernel(code)
    assert printed == "tried\n"
    assert "was stopped after" in result["text/plain"]
    assert re.search(rf"in +line 3: {re.escape(body)}", result["text/plain"])
    assert kernel("print(1 + 1)") == ("2\n", {})


def test_an_endless_loop_that_prints_does_not_reach_the_next_cell(kernel):
    code = "def answer(image_size, patch_size):\n    while True:\n        print('again')\n\ncheck.count_tokens(answer)"
    printed, result = kernel(code)
    assert "was stopped" in result["text/plain"]
    assert len(printed) < 5000
    assert printed.endswith("… (your code prints more; the rest is left out)\n")
    assert kernel("time.sleep(0.3)\nprint('quiet')") == ("quiet\n", {})


def test_the_stop_button_stops_a_check(kernel):
    kernel("engine.SECONDS, engine.WAIT, limits = 60, 60, (engine.SECONDS, engine.WAIT)")
    code = "def answer(image_size, patch_size):\n    while True: pass\n\ncheck.count_tokens(answer)"
    _, result = kernel(code, interrupt_after=0.3)
    assert result == {"text/plain": "KeyboardInterrupt"}
    kernel("engine.SECONDS, engine.WAIT = limits")
    assert kernel("print(1 + 1)") == ("2\n", {})


def test_no_thread_and_no_handler_stays_behind(kernel):
    handlers = "print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)])"
    first, _ = kernel(handlers)
    kernel("def answer(image_size, patch_size):\n    while True: pass\n\ncheck.count_tokens(answer)")
    assert kernel(handlers)[0] == first
    waiting, _ = kernel("time.sleep(0.3)\nprint([t.name for t in threading.enumerate() if '(work)' in t.name])")
    assert waiting.count("work") <= 1  # the answer above that sleeps for a minute
