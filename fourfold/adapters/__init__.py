"""The ports as other libraries take them."""
