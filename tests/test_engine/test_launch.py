"""What is typed on the command line arrives as it was meant."""
import argparse

import pytest

from glid_mm.engine.launch import add_common_arguments, main


def parse(text):
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    args = parser.parse_args(['config', '--cfg-options', f'key={text}'])
    return args.cfg_options['key']


@pytest.mark.parametrize('text', [
    'my photos', '/data/my photos/', 'a = b', '/a/my photos, new'
])  # yapf: disable
def test_texts_keep_their_blanks(text):
    assert parse(text) == text


def test_paths_that_are_there_keep_their_commas(tmp_path):
    folder = tmp_path / 'red,green'
    folder.mkdir()
    assert parse(str(folder)) == str(folder)


def test_home_is_found(monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    assert parse('~/images') == '/home/someone/images'


@pytest.mark.parametrize('text,value', [
    ('3', 3), ('1e-3', .001), ('None', None), ('true', True), ('a', 'a'),
    ('a,b', ['a', 'b']), ('1, 2', [1, 2]), ('[a, b]', ['a', 'b']),
    ('(1,2)', (1, 2))
])  # yapf: disable
def test_all_else_is_as_mmengine_reads_it(text, value):
    assert parse(text) == value


def test_ctrl_c_ends_a_tool_in_one_line(capsys):

    def tool():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        main(tool)
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'
