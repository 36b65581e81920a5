"""How tools end."""
import pytest

from glid_mm.engine.launch import main


def test_ctrl_c_ends_a_tool_in_one_line(capsys):

    def tool():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        main(tool)
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'
