// What is left to say where the page's other scripts cannot be loaded: its sentence is shown. A classic script in the
// head, since browsers load those from a disk, too, and modules from servers only.

addEventListener(
  'error',
  ({ target }) => {
    if (target.type === 'module') document.documentElement.dataset.stuck = '';
  },
  true, // such an error is told to the element alone
);
