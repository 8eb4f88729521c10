"""``linnet data check``: finds what is wrong with a folder of photos before a training is wasted on it. Internal.

examine.py     each file by itself
alike.py       photos that look the same
families.py    photos that belong together by their names
findings.py    the rules
page.py        the HTML page
"""
