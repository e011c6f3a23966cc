"""The examples of the README run, one after the other, and their assertions hold."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_examples_run():
    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["where_x_goes"].shape == (20_000, 2)
