"""In the way of pandas, for processes that tests start: see tests/conftest.py."""

raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
