// A link opens with what stands behind the #, which no browser sends. It is taken out of the address, then posted.
"use strict";
{
  const text = location.hash.slice(1);
  const form = document.getElementById("link-form");
  if (text) {
    history.replaceState(null, "", location.pathname);
    if (form && !document.getElementById("error")) {
      document.getElementById("link").value = text;
      form.requestSubmit();
    }
  }
}
