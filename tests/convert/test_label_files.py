"""The label files that people have: understood, or refused with the line to look at."""

from __future__ import annotations

import json

import pytest

from linnet_convert.errors import ConversionError
from linnet_convert.metadata.labels import parse_labels

NAMES = ("bolt", "empty belt", "gear", "nut")

UNDERSTOOD = {
    "a name on each line": "bolt\nempty belt\ngear\nnut\n",
    "no end of the last line": "bolt\nempty belt\ngear\nnut",
    "a byte order mark and Windows line ends": "\ufeffbolt\r\nempty belt\r\ngear\r\nnut\r\n\r\n",
    "spaces around, and a blank line": "  bolt\nempty belt \n\n\tgear\nnut\n",
    "Teachable Machine: an index and a space": "0 bolt\n1 empty belt\n2 gear\n3 nut\n",
    "Coral: an index and two spaces": "0  bolt\n1  empty belt\n2  gear\n3  nut\n",
    "from 1": "1 bolt\n2 empty belt\n3 gear\n4 nut\n",
    "a comma": "0,bolt\n1,empty belt\n2,gear\n3,nut\n",
    "a colon": "0: bolt\n1: empty belt\n2: gear\n3: nut\n",
    "a tab": "0\tbolt\n1\tempty belt\n2\tgear\n3\tnut\n",
    "a dash": "0 - bolt\n1 - empty belt\n2 - gear\n3 - nut\n",
    "a full stop": "1. bolt\n2. empty belt\n3. gear\n4. nut\n",
    "in another order": "2 gear\n0 bolt\n3 nut\n1 empty belt\n",
    "the index behind": "bolt,0\nempty belt,1\ngear,2\nnut,3\n",
    "a list of YAML": "- bolt\n- empty belt\n- gear\n- nut\n",
    "quotes": '"bolt"\n"empty belt"\n"gear"\n"nut"\n',
    "the inside of a Python list": "'bolt',\n'empty belt',\n'gear',\n'nut'\n",
    "an index and quotes": '0,"bolt"\n1,"empty belt"\n2,"gear"\n3,"nut"\n',
    "a table": 'id,name\n0,bolt\n1,"empty belt"\n2,gear\n3,nut\n',
    "a table with other columns": "label;photos;index\nnut;7;3\nbolt;9;0\nempty belt;1;1\ngear;4;2\n",
    "a pbtxt": "item {\n  id: 1\n  name: 'bolt'\n}\nitem {\n  id: 2\n  name: 'empty belt'\n}\n"
    "item { id: 3 name: 'n03' display_name: \"gear\" }\nitem {\n  name: 'nut'\n  id: 4\n}\n",
    "a JSON list": json.dumps(NAMES),
    "JSON, index to name": json.dumps(dict(enumerate(NAMES))),
    "JSON, name to index, as Keras's class_indices": json.dumps({name: i for i, name in enumerate(NAMES)}),
    "a config.json of Hugging Face": json.dumps({"model_type": "x", "id2label": dict(enumerate(NAMES))}),
}


@pytest.mark.parametrize("form", UNDERSTOOD)
def test_a_form_that_people_have_is_understood(form: str) -> None:
    assert parse_labels(UNDERSTOOD[form].encode(), "labels.txt", 4) == NAMES


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "2", "10"),  # the digits of a sign language
        ("tench, Tinca tinca", "great white shark, white shark", "crane", "nut, 3/8 inch"),  # ImageNet's synonyms
        ("3 way valve", "bolt", "gear", "nut"),
        ("- bolt", "gear", '"special" nut', "the 'other'"),
        ("3d print", "5mm bolt", "2.5 mm", "nut"),
        ("\u87ba\u6813", "\u951f\u65a4\u62f7", "gear", "nut"),
    ],
)
def test_numbers_and_commas_within_names_stay(names: tuple[str, ...]) -> None:
    assert parse_labels("\n".join(names).encode(), "labels.txt", 4) == names


REFUSED = {
    "an index without a name before it": (
        "0 bolt\n1 empty belt\ngear\n3 nut\n",
        "line 3: got 'gear', expected an index",
    ),
    "an index twice": ("0 bolt\n1 belt\n1 gear\n3 nut\n", "line 3: got the index 1, expected 2"),
    "a gap": ("0 bolt\n1 belt\n2 gear\n4 nut\n", "line 4: got the index 4, expected 3"),
    "numbers that may be names": ("1 euro\n2 euro\n5 euro\n10 euro\n", 'Fix: a .json with ["NAME", "NAME"]'),
    "a blank line where a label is missing": ("bolt\n\ngear\nnut\n", "got 3 labels, and line 2 is blank, expected 4"),
    "a label too many, which is there twice": (
        "bolt\nbelt\ngear\nnut\ngear\n",
        "got 5 labels, and line 5 has 'gear' again, as line 3, expected 4",
    ),
    "no label for the background": ("bolt\ngear\nnut\n", "Fix: a first line such as background"),
    "latin-1": (b"bolt\nm\xfcll\ngear\nnut\n", "line 2: got bytes that are not UTF-8"),
    "a control character": ("bolt\nbe\x00lt\ngear\nnut\n", "line 2: got 'be\\x00lt', expected a label"),
    "a cell too few": ("id,name\n0,bolt\n1\n2,gear\n3,nut\n", "line 3: got '1', expected 2 cells"),
    "an item without a name": ("item { id: 1 }\n", "line 1: got another item, expected item { id: 1 name: 'NAME' }"),
    "half a JSON": ('["bolt", ', "got damaged JSON"),
    "JSON of something else": ('{"bolt": [1]}', "got other JSON, expected a list of names"),
    "nothing": ("", "got 0 labels, expected 4"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_with_its_line(case: str) -> None:
    text, says = REFUSED[case]
    with pytest.raises(ConversionError) as error:
        parse_labels(text if isinstance(text, bytes) else text.encode(), "labels.txt", 4)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_two_outputs_of_one_name_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """ImageNet has two cranes: the bird and the machine."""
    labels = parse_labels(b"bolt\ncrane\ngear\ncrane\n", "labels.txt", 4)
    assert labels == ("bolt", "crane", "gear", "crane (3)")
    assert "labels.txt line 4: 'crane' again" in caplog.text
