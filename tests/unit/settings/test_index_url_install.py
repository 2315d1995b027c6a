from gar_publish.settings.index_url import extra_index_line, requirements_hashed

INDEX = "https://us-python.pkg.dev/p/r/simple/"


def test_the_ready_line() -> None:
    assert extra_index_line(INDEX, "ya29.a-b_c") == (
        "--extra-index-url https://oauth2accesstoken:ya29.a-b_c@us-python.pkg.dev/p/r/simple/"
    )


def test_a_token_is_escaped() -> None:
    assert "oauth2accesstoken:a%2Fb%3D%40@us-python" in extra_index_line(INDEX, "a/b=@")


def test_hashed_pins() -> None:
    assert requirements_hashed({"a==1": ["bb", "aa"], "b==2": ["cc"]}) == (
        "a==1 --hash=sha256:aa --hash=sha256:bb\nb==2 --hash=sha256:cc"
    )
