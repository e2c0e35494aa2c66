"""Figures."""
async def all_figures(mesh): pass
