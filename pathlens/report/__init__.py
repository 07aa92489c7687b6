"""The report room: figures and the page; it draws tables and computes none."""
