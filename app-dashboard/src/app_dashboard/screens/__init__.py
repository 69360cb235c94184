"""One module a page; a folder named pages would make each a script of Streamlit's own."""
