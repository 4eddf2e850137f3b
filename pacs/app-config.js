// Configuration of the OHIF viewer: one data source, the DICOMweb that pacs/serve.py passes on to Orthanc 1.10.

// OHIF draws the outlines of a measurement report and leaves out its numbers where there is none. A report that measures
// segments, as those of this suite, is shown as text.
const reportsAsText = {
  id: 'map-suite.reports-as-text',
  preRegistration({ servicesManager }) {
    const { displaySetService } = servicesManager.services;
    const outlined = item => item.ValueType === 'SCOORD' || [item.ContentSequence ?? []].flat().some(outlined);
    displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded }) => {
      displaySetsAdded
        .filter(set => set.Modality === 'SR' && !outlined(set.instance))
        .forEach(set => { set.isImagingMeasurementReport = false; });
    });
  },
};

window.config = {
  name: 'map-suite demonstration',
  routerBasename: null,
  extensions: [reportsAsText],
  modes: [],
  showStudyList: true,
  maxNumberOfWebWorkers: 2,
  showCPUFallbackMessage: false, // there may be no GPU
  // A SEG is previewed and then opened with "Yes": without that step OHIF 3.11 to 3.13 turn an oblique or sagittal image.
  disableConfirmationPrompts: false,
  defaultDataSourceName: 'pacs',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'pacs',
      configuration: {
        friendlyName: 'Orthanc on this machine',
        name: 'pacs',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        wadoUriRoot: '/wado',
        qidoSupportsIncludeField: false,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        singlepart: 'video',
        bulkDataURI: { enabled: true },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
};
