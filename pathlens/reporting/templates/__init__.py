"""Sources of the page: one template, one style sheet and the scripts, put together by `page.py`."""
