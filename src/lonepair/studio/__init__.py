"""The studio: pages in a browser over the public Python API, and jobs in worker processes that outlive them.

`jobs`, `scheduler`, `worker` and `tasks` know nothing of pages; `app` builds the pages with Gradio.
"""
