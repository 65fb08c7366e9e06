// The secret is in the page while this dialog is open, and nowhere else: no storage, no address, no request. What is
// downloaded is made here.
"use strict";
{
  const reveal = document.getElementById("reveal");
  const place = document.getElementById("secret");
  const saved = document.getElementById("saved");
  const show = document.getElementById("show-secret");
  const { label, accessKeyId, endpoint, region } = reveal.dataset;
  const templates = new Map();
  let secret = place.textContent;
  let taken = false;

  const masked = () => "•".repeat(secret.length);
  const hide = () => {
    place.textContent = masked();
    place.classList.add("ready");
    show.textContent = "Show";
    show.setAttribute("aria-pressed", "false");
  };

  const fill = (open) => {
    for (const [node, template] of templates) node.textContent = template.replace("SECRET", open ? secret : masked());
  };

  // Nothing of it stays when the page is left: not for the back button, not for a page kept in memory.
  const forget = () => {
    secret = "";
    place.textContent = "";
    templates.clear();
    document.getElementById("programs").replaceChildren();
  };

  for (const node of reveal.querySelectorAll("[data-snippet]")) templates.set(node, node.textContent);
  hide();
  fill(false);
  reveal.removeAttribute("open");
  reveal.showModal();

  show.addEventListener("click", () => {
    const open = show.getAttribute("aria-pressed") !== "true";
    if (!open) hide();
    else {
      place.textContent = secret;
      show.textContent = "Hide";
      show.setAttribute("aria-pressed", "true");
    }
    fill(open);
  });
  document.getElementById("copy-secret").addEventListener("click", (event) => {
    copyText(secret, event.currentTarget, "Secret");
    taken = true;
  });
  reveal.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy-snippet]");
    if (!button) return;
    const node = button.closest(".snippet").querySelector("[data-snippet]");
    copyText(templates.get(node).replace("SECRET", secret), button, "Text");
    taken = true;
  });

  // A cell that begins with one of these is a formula to a spreadsheet.
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    reveal.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    taken = true;
    say(`${name} saved`);
  };
  document.getElementById("save-csv").addEventListener("click", () => {
    const rows = [["Label", "Access key ID", "Secret access key", "Endpoint"], [label, accessKeyId, secret, endpoint]];
    save(`${accessKeyId}.csv`, "text/csv", rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n");
  });
  document.getElementById("save-env").addEventListener("click", () => {
    const lines = [
      `# ${label}`,
      `AWS_ACCESS_KEY_ID=${accessKeyId}`,
      `AWS_SECRET_ACCESS_KEY=${secret}`,
      `AWS_ENDPOINT_URL_S3=${endpoint}`,
      `AWS_REGION=${region}`,
    ];
    save(`${accessKeyId}.env`, "text/plain", `${lines.join("\n")}\n`);
  });

  // ---- one program at a time ----
  const programs = document.getElementById("programs");
  const sections = [...programs.querySelectorAll(".program")];
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "How to use it");
  const choose = (wanted, focus) => {
    for (const [at, section] of sections.entries()) {
      section.hidden = at !== wanted;
      const tab = list.children[at];
      tab.setAttribute("aria-selected", String(at === wanted));
      tab.tabIndex = at === wanted ? 0 : -1;
      if (at === wanted && focus) tab.focus();
    }
  };
  for (const [at, section] of sections.entries()) {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${section.id}`;
    tab.textContent = section.dataset.name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", section.id);
    section.setAttribute("role", "tabpanel");
    section.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => choose(at, false));
    list.append(tab);
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const now = sections.findIndex((section) => !section.hidden);
    choose((now + step + sections.length) % sections.length, true);
  });
  programs.prepend(list);
  programs.classList.add("tabbed");
  choose(0, false);

  // ---- it closes when the secret is saved, and not by accident ----
  const done = document.getElementById("done");
  const judge = () => { done.disabled = !saved.checked; };
  saved.addEventListener("change", judge);
  judge();
  const stay = (event) => {
    event.preventDefault();
    say("Save the secret first, then confirm that you have.");
    saved.focus();
  };
  reveal.addEventListener("keydown", (event) => { if (event.key === "Escape") stay(event); });
  reveal.addEventListener("cancel", stay);
  // A browser closes a dialog when it is asked a second time, whatever the page says.
  reveal.addEventListener("close", () => { if (secret) reveal.showModal(); });
  document.getElementById("reveal-done").addEventListener("submit", (event) => {
    event.preventDefault();
    taken = true;
    forget();
    location.replace(`/keys?made=${encodeURIComponent(accessKeyId)}`);
  });
  addEventListener("beforeunload", (event) => {
    if (secret && !taken && !saved.checked) event.preventDefault();
  });
  addEventListener("pagehide", forget);
  addEventListener("pageshow", (event) => { if (event.persisted) location.replace("/keys"); });
}
