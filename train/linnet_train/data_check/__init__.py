"""``linnet data check``: what is wrong with a folder of photos, before it costs a night of training.

examine.py  each file by itself     alike.py  photos against one another
findings.py the rules               page.py   the HTML page               cli.py  the command
"""
