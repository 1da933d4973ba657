// What only the browser can do: remember the theme, and keep what was typed until it is sent.
window.studio = (() => {
  const PREFIX = "studio-draft:";
  const fieldsIn = (root) => root.querySelectorAll("textarea[data-draft], input[data-draft]");

  // A field that appears empty gets back what was typed into it before a reload or a lost connection.
  const restore = (field) => {
    const kept = sessionStorage.getItem(PREFIX + field.dataset.draft);
    if (kept === null || field.value === kept) return;
    field.value = kept;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  document.addEventListener("input", (event) => {
    const name = event.target.dataset?.draft;
    if (name && event.isTrusted) sessionStorage.setItem(PREFIX + name, event.target.value);
  });
  const watch = () => {
    fieldsIn(document).forEach(restore);
    new MutationObserver((changes) => {
      for (const change of changes)
        for (const node of change.addedNodes) if (node.querySelectorAll) fieldsIn(node).forEach(restore);
    }).observe(document.body, { childList: true, subtree: true });
  };
  document.body ? watch() : document.addEventListener("DOMContentLoaded", watch);

  return {
    forget: (name) => sessionStorage.removeItem(PREFIX + name),
    // The other theme than the one that is shown; it is remembered, also where the system decided so far.
    theme: () => {
      const dark = !document.body.classList.contains("body--dark");
      document.cookie = `theme=${dark ? "dark" : "light"};path=/;max-age=31536000;samesite=strict`;
      return dark;
    },
  };
})();
