// Which page this is. Prometheus's address of its storage's status leads to the same counts.

export function pageOf(path: string): 'home' | 'cardinality' {
  const last = path.slice(path.lastIndexOf('/') + 1);
  return last === 'cardinality' || last === 'tsdb-status' ? 'cardinality' : 'home';
}

export const isCardinalityPage = typeof location !== 'undefined' && pageOf(location.pathname) === 'cardinality';
