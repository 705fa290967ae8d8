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
