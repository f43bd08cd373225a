// Colours that are painted on a canvas; the page's own are custom properties in style.css.
// The eight series colours are the set with the largest smallest difference that was found
// by search, for normal sight and for deuteranopia and protanopia.

export interface Palette {
  series: string[];
  grid: string;
  text: string;
  cursor: string;
}

export const kDark: Palette = {
  series: ['#4c93ff', '#f2994a', '#55e9d1', '#b362a1', '#807e30', '#a9b5fb', '#edcc37', '#f678a4'],
  grid: '#232a34',
  text: '#8590a0',
  cursor: '#a7b1be',
};

export const kLight: Palette = {
  series: ['#1f6fe5', '#c2600a', '#781367', '#289785', '#71330c', '#7c5792', '#183d9c', '#b13550'],
  grid: '#e9edf1',
  text: '#5f6a79',
  cursor: '#4a5564',
};

export function seriesColor(palette: Palette, index: number): string {
  return palette.series[index % palette.series.length] ?? palette.text;
}

export function translucent(color: string, percent: number): string {
  return color + Math.round((percent / 100) * 255).toString(16).padStart(2, '0');
}
