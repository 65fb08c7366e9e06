// A form for a key says in one sentence what the key will be able to do, and finds buckets in a long list.
"use strict";
{
  const form = document.getElementById("create-form") || document.getElementById("edit-form");
  const sentence = document.getElementById("sentence");
  const chosen = (name) => form.querySelector(`[name="${name}"]:checked`);
  const value = (name) => (form.elements[name]?.value || "").trim();
  const verbs = {
    read_only: "read and list objects",
    write_only: "write objects, but neither read, list nor delete them,",
    read_write: "read, write and delete objects",
    full: "read, write and delete objects, and configure and delete the bucket,",
  };

  const names = () => {
    const typed = form.elements.bucket_names;
    if (typed) return typed.value.split(/[\s,]+/).filter(Boolean);
    return [...form.querySelectorAll("[name=bucket]:checked")].map((box) => box.value);
  };

  const listed = (all) => {
    if (all.length < 4) return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
    return `${all.slice(0, 2).join(", ")} and ${all.length - 2} more buckets`;
  };

  const until = () => {
    const term = value("term");
    if (term === "custom") return value("day") ? `, until ${value("day")}` : "";
    if (term === "kept" || term === "never" || !term) return "";
    return `, for ${term === "365" ? "1 year" : `${term} days`}`;
  };

  const described = () => {
    const everything = chosen("reach")?.value === "all";
    const from = value("sources") ? `, from ${value("sources").split(/[\s,]+/).join(" or ")} only` : "";
    if (everything) {
      const rights = chosen("rights_all")?.value;
      const what = rights === "full" ? "do anything with objects and make, configure and delete buckets," : verbs[rights];
      return `It will be able to ${what} in every bucket of the account, those made later too${until()}${from}.`;
    }
    const all = names();
    if (!all.length) return "";
    let prefix = value("prefix");
    if (prefix && !prefix.endsWith("/")) prefix += "/";
    const below = prefix ? `, only below ${prefix}` : "";
    return `It will be able to ${verbs[chosen("rights")?.value]} in ${listed(all)}${below}${until()}${from}.`;
  };

  let soon = 0;
  const tell = () => {
    const everything = chosen("reach")?.value === "all";
    const picked = document.getElementById("picked");
    if (picked) picked.textContent = `${names().length} chosen`;
    clearTimeout(soon);
    soon = setTimeout(() => {
      const text = chosen("reach") ? described() : "";
      sentence.hidden = !text;
      sentence.textContent = text;
      sentence.classList.toggle("wide-open", everything);
    }, 120);
  };
  form.addEventListener("input", tell);
  tell();

  const filter = document.getElementById("bucket-filter");
  const items = [...document.querySelectorAll("#bucket-list li")];
  if (filter && items.length > 5) {
    document.getElementById("picker-search").hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      let shown = 0;
      for (const item of items) {
        item.hidden = !item.textContent.toLowerCase().includes(wanted);
        shown += item.hidden ? 0 : 1;
      }
      document.getElementById("none-found").hidden = shown > 0;
    });
    filter.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const visible = items.filter((item) => !item.hidden);
      if (visible.length === 1) visible[0].querySelector("input").click();
    });
  }

  // What must be chosen is asked for before anything is sent.
  form.addEventListener("submit", (event) => {
    const first = form.querySelector("#bucket-list input");
    const missing = chosen("reach")?.value === "some" && first && !names().length;
    first?.setCustomValidity(missing ? "Choose at least one bucket." : "");
    if (missing) {
      event.preventDefault();
      event.stopPropagation();
      first.reportValidity();
    }
  }, true);
  form.addEventListener("input", () => form.querySelector("#bucket-list input")?.setCustomValidity(""));
}
