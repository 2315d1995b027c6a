import argparse

import pytest

from gar_publish.cli.bootstrap_options import add_options


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(["--github=octo-org", *arguments])


@pytest.mark.parametrize("form", ["terraform", "workflow", "check"])
def test_one_form_at_a_time(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse().form == "script"
    assert parse(f"--{form}").form == form
    with pytest.raises(SystemExit):
        parse("--terraform", "--workflow", "--check")
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["github-owner-id", "github-repository-id", "project-number"])
@pytest.mark.parametrize("value", ["octo-org", "-1", "", "1.5", "٣"])
def test_numbers_are_numbers(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vars(parse(f"--{name}=12"))[name.replace("-", "_")] == "12"
    with pytest.raises(SystemExit):
        parse(f"--{name}={value}")
    assert "is not a number" in capsys.readouterr().err
