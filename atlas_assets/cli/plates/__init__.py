"""`atlas plates`: register, fetch and list plates, and correct what their index states.

Thin functions that call `plates.intake` and `acquisition`; all registered in `app.py`.
"""
