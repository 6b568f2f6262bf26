"""Which folders of the machine are meant, and who else may read what is put there."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudretry.config import load
from cloudretry.errors import ConfigurationError
from cloudretry.folders import begins_with_mark, expanded, make_private, make_private_file, pulumi_home, read_text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's home is /account, whatever HOME says."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir="/account"))


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has no entry in the table of accounts, as a container's often has none."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


class TestThePulumiFolder:
    @pytest.mark.usefixtures("account")
    def test_is_the_one_that_is_named(self) -> None:
        assert pulumi_home({"PULUMI_HOME": "/named", "HOME": "/home"}) == Path("/named")

    @pytest.mark.usefixtures("account")
    def test_is_the_account_s_as_the_engine_has_it_and_not_that_of_home(self) -> None:
        assert pulumi_home({"HOME": "/github/home"}) == Path("/account/.pulumi")

    @pytest.mark.usefixtures("no_account")
    def test_is_in_home_where_there_is_no_account(self) -> None:
        assert pulumi_home({"HOME": "/home"}) == Path("/home/.pulumi")

    @pytest.mark.usefixtures("no_account")
    def test_is_an_error_with_a_remedy_where_there_is_no_home_at_all(self) -> None:
        with pytest.raises(ConfigurationError, match=r"this user has no home\. Set PULUMI_HOME"):
            pulumi_home({})


class TestPathsOfSettings:
    def test_begin_with_a_home_as_in_a_shell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/somebody")
        assert expanded("~/ca.pem") == Path("/home/somebody/ca.pem")

    @pytest.mark.parametrize("key", ["caFile", "journalDir", "huaweicloud.sharedConfigFile"])
    @pytest.mark.parametrize(
        ("path", "words"),
        [("~nosuchuser/x", "there is no user of that name"), ("a\0b", "is not a path")],
        ids=["of nobody", "with a NUL"],
    )
    def test_that_cannot_be_are_named_with_the_key(self, key: str, path: str, words: str) -> None:
        section, _, name = key.rpartition(".")
        given = {section: {name: path}} if section else {name: path}
        with pytest.raises(ConfigurationError, match=f"{key}: {words}"):
            load(given, {})

    @pytest.mark.usefixtures("no_account")
    def test_of_a_user_without_a_home_say_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HOME", raising=False)
        with pytest.raises(ConfigurationError, match=r"this user has no home: set HOME"):
            expanded("~/x")

    def test_that_lead_to_a_folder_are_no_files(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"caFile: cannot be read \(Is a directory\)"):
            load({"caFile": str(tmp_path)}, {})


class TestTexts:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_are_read_as_an_editor_of_any_system_wrote_them(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "text"
        path.write_text("名\r\n", encoding=encoding, newline="")
        assert read_text(path) == "名\r\n"
        assert begins_with_mark(path) is (encoding != "utf-8")

    def test_have_an_end(self, tmp_path: Path) -> None:
        path = tmp_path / "text"
        path.write_text("abcd")
        assert read_text(path, limit=4) == "abcd"
        with pytest.raises(ValueError, match="it has more than 3 bytes"):
            read_text(path, limit=3)


class TestPrivateThings:
    def test_are_for_this_user_alone_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            make_private(tmp_path / "a/b")
            make_private_file(tmp_path / "a/b/file")
        finally:
            os.umask(before)
        assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/file")] == [0o700, 0o700, 0o600]

    def test_leave_a_folder_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o750)
        make_private(tmp_path)
        assert mode(tmp_path) == 0o750

    def test_are_closed_to_others_if_they_were_open(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("kept")
        path.chmod(0o644)
        make_private_file(path)
        assert (mode(path), path.read_text()) == (0o600, "kept")

    def test_are_never_written_through_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="it is a link; name the file itself"):
            make_private_file(tmp_path / "link")
        assert not (tmp_path / "elsewhere").exists()

    def test_are_not_somebody_else_s(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "file"
        path.touch()
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        with pytest.raises(PermissionError, match=f"it belongs to user {path.stat().st_uid}"):
            make_private_file(path)

    def test_are_files(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="it is not a file"):
            make_private_file(tmp_path / "pipe")
