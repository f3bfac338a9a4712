"""Reading bytes of object stores and web servers, through any client, past any passing fault."""
