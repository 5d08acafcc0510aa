# @title Set-up: gets the course where it is not there, as in Colab or Kaggle; at home it does nothing
REPOSITORY = ""  # whoever publishes the course writes its git address here, then runs notebooks/build.py --set-up
FIGURES = {}  # those of the text, by file name; they are shown here where the text cannot find them


def set_up(repository, figures):
    import base64
    import html
    import importlib.util
    import mimetypes
    import os
    import re
    import site
    import subprocess
    import sys
    import tempfile
    from importlib import metadata
    from pathlib import Path

    def version_of(package):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    def install(*what):
        command = [sys.executable, "-m", "pip", "install", "--quiet", *what]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = [line for line in done.stderr.splitlines() if re.match("error:", line, re.IGNORECASE)] or ["nothing"]
            raise RuntimeError(f"The course could not be installed here; pip says: {why[-1]}")
        importlib.invalidate_caches()
        if site.getusersitepackages() not in sys.path:  # where pip writes if it may not write elsewhere
            site.addsitedir(site.getusersitepackages())

    if importlib.util.find_spec("vit_tutorial") is None:
        if Path("..", "setup_env.py").is_file():
            raise RuntimeError(
                "This notebook lies in the course's folder and runs in another Python than the course. Close it, and type "
                "`make lab` in that folder; in a Jupyter that is hosted for you, run `%pip install -e ..` instead."
            )
        if sys.version_info < (3, 11):  # noqa: UP036
            raise RuntimeError(f"The course needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")
        repository = os.environ.get("VIT_TUTORIAL_REPOSITORY", repository)
        if not repository:
            raise RuntimeError(
                "The course is not installed here, and this notebook does not say where it comes from. Get the course's "
                "folder and type `make lab` in it, or set the environment variable VIT_TUTORIAL_REPOSITORY to its git "
                "address and run this cell again."
            )
        install("--no-deps", f"git+{repository}")
        lines = [line for line in metadata.requires("vit-tutorial") if "extra ==" not in line]
        needs = {re.match(r"[\w.-]+", line)[0]: line for line in lines}
        there = {name: version for name in needs if (version := version_of(name))}
        missing = [line for name, line in needs.items() if name not in {*there, "jupyterlab", "ipykernel"}]
        if missing:
            with tempfile.TemporaryDirectory() as folder:
                as_it_is = Path(folder, "as_it_is.txt")  # the host's own packages keep their versions
                as_it_is.write_text("\n".join(f"{name}=={version}" for name, version in there.items()))
                install("--constraint", str(as_it_is), *missing)
        print("the course is installed, and what it needs")

    if any(not Path("figures", name).is_file() for name in figures):
        from IPython.display import HTML, display

        from vit_tutorial.support.paths import FIGURE_FOLDER

        for name, words in figures.items():
            content = base64.b64encode((FIGURE_FOLDER / name).read_bytes()).decode()
            picture = f'<img alt="{html.escape(words)}" src="data:{mimetypes.guess_type(name)[0]};base64,{content}">'
            display(HTML(f"{picture}<p>The figure {name} of the text below.</p>"))


set_up(REPOSITORY, FIGURES)
del set_up, REPOSITORY, FIGURES
