from gar_publish.progress import Lines
from tests.unit.servers import Time


def test_a_line_now_and_then() -> None:
    time, said = Time(), list[str]()
    lines = Lines(said.append, "big.whl", 2_000_000_000, time.clock)
    for sent in range(0, 2_000_000_001, 50_000_000):
        lines.show(sent)
        time.sleep(1.0)
    assert said == [
        "big.whl: 600.0 MB of 2.0 GB, 30 %, 50.0 MB/s",
        "big.whl: 1.2 GB of 2.0 GB, 60 %, 50.0 MB/s",
        "big.whl: 1.8 GB of 2.0 GB, 90 %, 50.0 MB/s",
    ]


def test_a_quick_upload_says_nothing() -> None:
    time, said = Time(), list[str]()
    lines = Lines(said.append, "small.whl", 1000, time.clock)
    lines.show(500)
    time.sleep(5.0)
    lines.show(1000)
    assert said == []
