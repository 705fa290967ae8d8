// The page is framed by Airflow's. It follows Airflow's theme, and leaves the frame for what is Airflow's own.
(function () {
  "use strict";
  function theme() {
    var chosen = null;
    try { chosen = window.localStorage.getItem("theme"); } catch (error) { chosen = null; }
    if (chosen === "light" || chosen === "dark") {
      document.documentElement.setAttribute("data-theme", chosen);
    } else {
      document.documentElement.removeAttribute("data-theme");
    }
  }
  theme();
  window.addEventListener("storage", theme);
  // What is under way is looked at again every few seconds, as long as somebody looks at the page.
  function renew() {
    var live = document.querySelector("[data-live]");
    if (!live) { return; }
    window.setTimeout(function () {
      if (document.hidden) { renew(); return; }
      window.fetch(window.location.href, { credentials: "same-origin" }).then(function (response) {
        return response.ok ? response.text() : "";
      }).then(function (text) {
        var there = new DOMParser().parseFromString(text, "text/html").getElementById(live.id);
        if (there) { live.replaceWith(document.importNode(there, true)); }
      }).catch(function () { return null; }).then(renew);
    }, 5000);
  }
  document.addEventListener("DOMContentLoaded", renew);
  // A second click is no second wish.
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.method !== "post") { return; }
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
  });
  document.addEventListener("click", function (event) {
    var link = event.target.closest ? event.target.closest("a[data-top]") : null;
    if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    // Airflow's frame may not navigate what is around it; a link of the page around it may.
    var outside = window.parent.document.createElement("a");
    outside.href = link.href;
    event.preventDefault();
    window.parent.document.body.appendChild(outside);
    outside.click();
    outside.remove();
  });
})();
