// Light or dark. A classic script in the head, so that the chosen colours are there before the first paint.

(() => {
  const root = document.documentElement;
  const names = { light: 'Light', dark: 'Dark' };
  const system = matchMedia('(prefers-color-scheme: dark)');
  const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');
  try {
    const kept = localStorage.getItem('theme');
    if (kept in names) root.dataset.theme = kept;
  } catch {
    // Storage can be denied; the system's choice then holds.
  }
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.querySelector('#theme');
    const label = () => {
      const other = current() === 'dark' ? 'light' : 'dark';
      button.textContent = names[other];
      button.setAttribute('aria-label', `Switch to ${other} colours`);
    };
    button.addEventListener('click', () => {
      root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
      label();
      try {
        localStorage.setItem('theme', root.dataset.theme);
      } catch {
        // Not kept, but applied.
      }
    });
    system.addEventListener('change', label);
    label();
  });
})();
