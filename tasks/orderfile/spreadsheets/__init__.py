"""Spreadsheets as order files: `.xlsx` and `.ods`.

python-calamine reads the cells. What it does not tell (a formula without a value, an error, merged cells) and what
would cost it memory without bound is found in the file's XML before.
"""
